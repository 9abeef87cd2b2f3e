"""Apply retention: mark what goes, deepest first. Its objects are removed next, and its row stays as history."""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from backups.models import Backup, Retained
from backups.retention import COMPLETED, Verdict
from backups.selectors import backups_being_read
from backups.services.expire import expire
from backups.services.explain import explain_retention, limits_of
from backups.services.prune import AT_ONCE, forget
from databases.models import Database, Policy
from databases.selectors import site_policy
from jobs.models import Status
from jobs.services.tally import add
from jobs.slices import until
from notifications.models import Severity
from notifications.services.record import record_event

EVERY = timedelta(hours=1)
ROUND_S = 1.0  # a round of the sweeper goes on where it was in the next one
NAMED = 20  # in the message of an event

logger = logging.getLogger(__name__)


@dataclass
class Outcome:
    """`expired` are marked, their objects still have to go; `forgotten` are rows of history that are gone."""

    verdicts: dict[Database, list[Verdict]] = field(default_factory=dict)
    expired: list[str] = field(default_factory=list)
    forgotten: int = 0


def retain_due() -> int:
    """The sweeper's step: every Database once an hour, and after a backup was completed or a policy changed."""
    deadline = time.monotonic() + ROUND_S
    due = _due(site_policy()).order_by(F("retained__at").asc(nulls_first=True), "pk")[:AT_ONCE]
    outcome = retain(until(deadline, due))
    return len(outcome.expired) + outcome.forgotten


def retain(databases: Iterable[Database], *, now: datetime | None = None) -> Outcome:
    """Decides for each, then marks what goes of all together.

    What was locked, read or built on meanwhile stays: that is looked at again under the rows' locks.
    """
    now, reading = now or timezone.now(), backups_being_read()
    outcome = Outcome()
    for database in databases:
        try:
            verdicts = _decide(database, now, reading)
        except Exception:
            # What is wrong with one Database must not keep the others from their retention.
            logger.exception("retention of %s failed", database.pk)
        else:
            if verdicts is not None:
                outcome.verdicts[database] = verdicts
    every = [verdict for verdicts in outcome.verdicts.values() for verdict in verdicts]
    outcome.expired = expire([verdict for verdict in every if verdict.fact.status == COMPLETED])
    _tell(outcome)
    history = [verdict.fact.id for verdict in every if verdict.goes and verdict.fact.status != COMPLETED]
    outcome.forgotten = sum(forget(_history(history[at : at + AT_ONCE])) for at in range(0, len(history), AT_ONCE))
    Retained.objects.bulk_create(
        [Retained(database=database, at=now) for database in outcome.verdicts],
        batch_size=AT_ONCE,
        update_conflicts=True,
        unique_fields=["database"],
        update_fields=["at"],
    )
    return outcome


def _due(policy: Policy) -> QuerySet[Database]:
    now = timezone.now()
    completed = Backup.objects.filter(
        database=OuterRef("pk"), status=Status.COMPLETED, finished_at__gt=OuterRef("retained__at")
    )
    due = Q(retained__isnull=True) | Q(retained__at__lt=now - EVERY) | Q(retained__at__gt=now)
    due |= Q(Exists(completed)) | Q(retained__at__lt=F("updated_at"))
    if not policy._state.adding:
        due |= Q(retained__at__lt=policy.updated_at)
    return Database.objects.filter(due)


def _decide(database: Database, now: datetime, reading: set[str]) -> list[Verdict] | None:
    """Limits are read here: of many Databases, some are changed or deleted before their turn comes."""
    current = Database.objects.filter(pk=database.pk).first()
    if current is None:
        return None
    limits = limits_of(current, site_policy())
    verdicts = explain_retention(database=current, limits=limits, now=now, being_read=reading)
    _note_expiry(current, verdicts)
    return verdicts


def _tell(outcome: Outcome) -> None:
    expired = set(outcome.expired)
    for database, verdicts in outcome.verdicts.items():
        if own := [verdict.fact.id for verdict in verdicts if verdict.fact.id in expired]:
            add("backupsite_retention_deletions", len(own), engine=database.engine)
            _record(database, own)


def _history(ids: list[str]) -> QuerySet[Backup]:
    return Backup.objects.filter(pk__in=ids, status__in=[Status.FAILED, Status.CANCELLED], locked=False)


def _note_expiry(database: Database, verdicts: list[Verdict]) -> None:
    """Writes `expires_at` where it has changed."""
    completed = Backup.objects.filter(database=database, status=Status.COMPLETED).order_by()
    noted = dict(completed.values_list("pk", "expires_at"))
    expected = {verdict.fact.id: verdict.expires_at for verdict in verdicts}
    stale = [Backup(pk=pk, expires_at=expected[pk]) for pk, at in noted.items() if expected.get(pk, at) != at]
    Backup.objects.bulk_update(stale, ["expires_at"], batch_size=200)


def _record(database: Database, expired: list[str]) -> None:
    more = f" and {len(expired) - NAMED} more" if len(expired) > NAMED else ""
    record_event(
        kind="retention.expired",
        severity=Severity.INFO,
        subject_id=database.pk,
        database_id=database.pk,
        message=f"Retention takes {len(expired)} backups of {database.name}: {', '.join(expired[:NAMED])}{more}.",
    )
