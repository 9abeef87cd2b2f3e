"""`manage.py reconcile`: do the rows say what the stores hold?"""

from typing import Any

from django.core.management.base import CommandParser

from backups.artefact import SIDECAR_SUFFIX
from backups.models import Destination
from backups.services.orphans import Findings
from backups.services.reconcile import reconcile
from jobs.errors import BackupError
from jobs.management.command import DONE, FAILED, USAGE, OperatorCommand


class Command(OperatorCommand):
    help = (
        "Report rows whose object is missing or has another size, objects that no row knows, and unfinished uploads. "
        "Nothing is ever deleted. Exit code: 0 everything agrees, or --fix put every bad copy aside; 1 a copy is "
        "missing or differs, or a store does not answer; 2 usage."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--destination", action="append", metavar="ID", help="May be given several times. Default: all of them."
        )
        parser.add_argument(
            "--fix",
            action="store_true",
            help="Put copies that are missing or differ into quarantine: another copy takes their place where there is "
            "a good one.",
        )

    def run(self, *, destination: list[str] | None, fix: bool, json: bool, **options: Any) -> int:
        chosen = list(Destination.objects.filter(pk__in=destination) if destination else Destination.objects.all())
        if unknown := set(destination or ()) - {one.pk for one in chosen}:
            self.fault(f"No Destination has the id {min(unknown)!r}.")
            return USAGE
        body: list[dict[str, Any]] = []
        status = DONE
        for place in chosen:
            try:
                found, aside = reconcile(destination=place, fix=fix)
            except BackupError as error:
                status = self._failed(error, {})
                body.append({"destination": place.pk, "error": {"code": error.code, "message": error.message}})
                continue
            body.append({**found.document(), "put_aside": aside})
            if not json:
                self._tell(place, found, aside)
            if aside < len(found.missing) + len(found.differing):
                status = FAILED
        if json:
            self.document({"destinations": body})
        return status

    def _tell(self, place: Destination, found: Findings, aside: int) -> None:
        unfinished = sum(one.unfinished for one in found.orphans)
        adoptable = sum(one.key.endswith(SIDECAR_SUFFIX) for one in found.orphans)
        self.stdout.write(
            f"{place.pk}: {found.seen} objects, {len(found.missing)} missing, {len(found.differing)} of another size, "
            f"{aside} put into quarantine; {len(found.orphans) - unfinished} that no row knows, {unfinished} "
            "unfinished uploads"
        )
        for word, keys in (("missing", found.missing), ("differs", found.differing)):
            for key in keys:
                self.stdout.write(f"  {word}  {key}")
        for one in found.orphans:
            self.stdout.write(f"  {'unfinished' if one.unfinished else 'unknown'}  {one.key}")
        for note in found.notes:
            self.say(note)
        if adoptable:
            self.say(f"manage.py adopt --destination {place.pk} takes up what has a sidecar.")
        if len(found.orphans) > adoptable:
            self.say(f"manage.py orphans {place.pk} --remove removes what no row knows.")
