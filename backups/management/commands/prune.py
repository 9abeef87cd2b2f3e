"""`manage.py prune [DATABASE...]`: apply retention now, and say of each backup why it stays or goes."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from django.core.management.base import CommandParser
from django.db.models import QuerySet
from django.utils import timezone

from backups.management.present import find_database
from backups.models import Backup
from backups.retention import Verdict
from backups.selectors import backups_being_read
from backups.services.explain import explain_retention, limits_of
from backups.services.prune import remove_deleting
from backups.services.retain import Outcome, retain
from databases.models import Database
from databases.selectors import site_policy
from jobs.management.command import DONE, FAILED, OperatorCommand
from jobs.models import Status

AT_ONCE = 100  # Databases


class Command(OperatorCommand):
    help = (
        "Apply retention now and explain it, backup by backup. Exit code: 0 done, 1 something could not be removed yet."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("databases", nargs="*", metavar="DATABASE", help="Ids or names. Default: all of them.")
        parser.add_argument("--dry-run", action="store_true", help="Only explain; nothing is changed.")

    def run(self, *, databases: list[str], dry_run: bool, json: bool, **options: Any) -> int:
        chosen: list[Database] | QuerySet[Database]
        chosen = [find_database(name) for name in databases] or Database.objects.order_by("pk")
        body: list[dict[str, Any]] = []
        expired: list[str] = []
        forgotten = 0
        for some in _together(chosen):
            outcome = _explained(some) if dry_run else retain(some)
            expired += outcome.expired
            forgotten += outcome.forgotten
            for database, verdicts in outcome.verdicts.items():
                if json:
                    body.append({"id": database.pk, "backups": [_document(verdict) for verdict in verdicts]})
                else:
                    self._tell(database, verdicts)
        waiting = 0 if dry_run else _remove(expired)
        if json:
            self.document({"dry_run": dry_run, "databases": body, "expired": expired, "forgotten": forgotten})
        if dry_run:
            self.say("Nothing was changed.")
        else:
            self.say(f"{len(expired)} backups expired, {forgotten} old failures forgotten.")
        if waiting:
            self.fault(
                f"{waiting} of them stay `deleting`: their objects could not be removed.",
                "The sweeper tries again; `manage.py doctor` says what is wrong with a destination.",
            )
        return FAILED if waiting else DONE

    def _tell(self, database: Database, verdicts: list[Verdict]) -> None:
        going = sum(verdict.goes for verdict in verdicts)
        self.stdout.write(f"{database.pk}: {len(verdicts) - going} stay, {going} go")
        for verdict in verdicts:
            at = verdict.fact.finished_at
            when = f"{at:%Y-%m-%d %H:%M}Z" if at else "-"
            self.stdout.write(f"  {verdict.fact.id}  {when:17}  {verdict.fact.status:11}  {'; '.join(verdict.reasons)}")


def _together(databases: Iterable[Database]) -> Iterator[list[Database]]:
    """So many at once that few questions are asked for each, and so few that their backups fit into memory."""
    rest = iter(databases)
    while some := list(itertools.islice(rest, AT_ONCE)):
        yield some


def _explained(databases: Iterable[Database]) -> Outcome:
    policy, reading, now = site_policy(), backups_being_read(), timezone.now()
    return Outcome(
        {
            one: explain_retention(database=one, limits=limits_of(one, policy), now=now, being_read=reading)
            for one in databases
        }
    )


def _remove(expired: list[str]) -> int:
    """Removes what is to go; how many of these backups still have objects afterwards."""
    while remove_deleting():
        pass  # a round ends after some seconds, for the sweeper's sake
    waiting = set(Backup.objects.filter(status=Status.DELETING, expiring=True).values_list("pk", flat=True))
    return len(waiting.intersection(expired))


def _document(verdict: Verdict) -> dict[str, Any]:
    at, expected = verdict.fact.finished_at, verdict.expires_at
    return {
        "id": verdict.fact.id,
        "status": verdict.fact.status,
        "finished_at": at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else None,
        "action": "expire" if verdict.goes else "keep",
        "reasons": verdict.reasons,
        "expires_at": expected.strftime("%Y-%m-%dT%H:%M:%SZ") if expected else None,
    }
