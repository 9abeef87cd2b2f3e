"""`manage.py orphans [DESTINATION]`: objects in a store that no row knows, and rows whose object is missing."""

from typing import Any

from django.core.management.base import CommandParser

from backups.models import Destination
from backups.services.orphans import Findings, find_orphans, remove_orphans
from jobs.errors import BackupError
from jobs.management.command import DONE, FAILED, USAGE, OperatorCommand, figure

DANGER = (
    "An object that this site does not know may be another site's: two sites that share a bucket and prefix (or a "
    "folder) see each other's backups here. It may also be a good backup of this very site, where its own database "
    "was restored from an older copy. What is removed is gone for ever."
)


class Command(OperatorCommand):
    help = (
        "Report objects in a store that no row knows, and rows whose object is missing. Nothing younger than a day and "
        "nothing that does not look like ours is ever removed. Exit code: 0 done, 1 an object is missing or a store "
        "does not answer, 2 usage."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("destination", nargs="?", metavar="DESTINATION", help="Its id. Default: all of them.")
        parser.add_argument("--remove", action="store_true", help="Remove them. " + DANGER)
        parser.add_argument("--yes", action="store_true", help="With --remove: do it without asking again.")

    def run(self, *, destination: str | None, remove: bool, yes: bool, json: bool, **options: Any) -> int:
        chosen = list(Destination.objects.filter(pk=destination) if destination else Destination.objects.all())
        if destination and not chosen:
            self.fault(f"No Destination has the id {destination!r}.")
            return USAGE
        body, status = [], DONE
        for place in chosen:
            try:
                found = find_orphans(destination=place)
                removed = 0
                if not json:
                    self._tell(place, found)
                if remove and found.orphans:
                    if not self._sure(len(found.orphans), yes=yes):
                        return USAGE
                    removed = remove_orphans(destination=place, orphans=found.orphans)
                    self.say(f"{place.pk}: {removed} removed.")
                body.append({**found.document(), "removed": removed})
                status = FAILED if found.missing else status
            except BackupError as error:
                status = self._failed(error, {})
                body.append({"destination": place.pk, "error": {"code": error.code, "message": error.message}})
        if json:
            self.document({"destinations": body})
        return status

    def _sure(self, count: int, *, yes: bool) -> bool:
        if yes:
            return True
        self.say(DANGER)
        self.fault(f"{count} objects would be removed; nothing was.", "Say --yes with --remove to do it.")
        return False

    def _tell(self, place: Destination, found: Findings) -> None:
        self.stdout.write(
            f"{place.pk}: {found.seen} objects, {len(found.orphans)} that no row knows, {found.young} younger than a "
            f"day, {found.foreign} none of ours, {len(found.missing)} missing"
        )
        for orphan in found.orphans:
            what = "unfinished upload" if orphan.unfinished else figure(orphan.size)
            self.stdout.write(f"  unknown  {orphan.modified:%Y-%m-%d %H:%M}Z  {what:>17}  {orphan.key}")
        for key in found.missing:
            self.stdout.write(f"  missing  {key}")
        for note in found.notes:
            self.say(note)
