"""`manage.py adopt`: read the sidecars of a store into this manager."""

from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from backups.models import Backup, Destination
from backups.services.adopt import Adoption, adopt
from databases.models import Database
from jobs.management.command import DONE, FAILED, USAGE, OperatorCommand


class Command(OperatorCommand):
    help = (
        "List what lies in a store as backups of this manager, by the sidecars beside the artefacts. Nothing is "
        "written to the store; twice is the same as once. Exit code: 0 done, 1 something was refused or a store does "
        "not answer, 2 usage."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--destination", action="append", metavar="ID", help="May be given several times. Default: all of them."
        )
        parser.add_argument("--dry-run", action="store_true", help="Only say what would be adopted.")

    def run(self, *, destination: list[str] | None, dry_run: bool, json: bool, **options: Any) -> int:
        chosen = list(Destination.objects.filter(pk__in=destination) if destination else Destination.objects.all())
        if unknown := set(destination or ()) - {one.pk for one in chosen}:
            self.fault(f"No Destination has the id {min(unknown)!r}.", "Add it first: the admin, or config.yaml.")
            return USAGE
        adoptions = adopt(destinations=chosen, dry_run=dry_run)
        if json:
            self.document({"dry_run": dry_run, "destinations": [asdict(one) for one in adoptions]})
        else:
            for one in adoptions:
                self._show(one, "would be adopted" if dry_run else "adopted")
            self._say_what_next(adoptions)
        return FAILED if any(one.refusals or one.error for one in adoptions) else DONE

    def _show(self, one: Adoption, done: str) -> None:
        if one.error:
            self.fault(f"{one.destination}: {one.error}")
        self.stdout.write(
            f"{one.destination}: {one.sidecars} sidecars; {one.backups} backups and {one.copies} further copies "
            f"{done}, {one.known} known already, {one.refusals} refused"
        )
        for database, count in sorted(one.databases.items()):
            self.stdout.write(f"  {database}  {count} backups")
        for refused in one.refused:
            self.stdout.write(f"  refused  {refused.key}: {refused.reason}")
        if one.packages:
            self.say(f"{one.destination}: {one.packages} packages are left as they are; each opens by hand.")

    def _say_what_next(self, adoptions: list[Adoption]) -> None:
        ids = {database for one in adoptions for database in one.databases}
        new = ids - set(Database.objects.filter(pk__in=ids).values_list("pk", flat=True))
        for pk in sorted(new):
            newest = (
                Backup.objects.filter(database=pk).order_by("-created_at").values("database_name", "engine").first()
            )
            named = f" ({newest['engine']}, named {newest['database_name']!r})" if newest else ""
            self.say(f"{pk}{named}: register it under this id, and these are its backups; or restore into any other.")
