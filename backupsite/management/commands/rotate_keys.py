"""`manage.py rotate_keys`: move every stored secret to the first encryption key."""

from typing import Any

from django.core.management.base import CommandParser

from backupsite.management.rotation import add_key, prune, rotate
from jobs.management.command import DONE, OperatorCommand


class Command(OperatorCommand):
    help = (
        "Re-encrypt every stored secret under the first encryption key. In order: --new, restart the site, "
        "rotate_keys, --prune, restart."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        step = parser.add_mutually_exclusive_group()
        step.add_argument("--new", action="store_true", help="Make a fresh first key in the data folder.")
        step.add_argument("--prune", action="store_true", help="Drop the older keys once nothing needs them.")

    def run(self, *, new: bool, prune: bool, json: bool, **options: Any) -> int:
        if new:
            add_key()
            body: dict[str, int] = {"added": 1}
            text = "A new first key is in place. Restart the site, then run `manage.py rotate_keys`."
        elif prune:
            body = {"dropped": _prune()}
            text = (
                f"Dropped {body['dropped']} older keys. Keep them as long as copies of the site's database need them."
            )
        else:
            done, already = rotate()
            body = {"rotated": done, "already": already}
            text = f"Re-encrypted {done} secrets; {already} were under the first key already."
        if json:
            self.document(body)
        else:
            self.stdout.write(text)
        return DONE


_prune = prune
