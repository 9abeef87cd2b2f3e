"""Apply retention: mark what goes, deepest first. Its objects are removed next, and its row stays as history."""

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from backups.models import Backup, Copy, Retained
from backups.retention import COMPLETED, Verdict
from backups.selectors import backups_being_read
from backups.services.explain import explain_retention, limits_of
from backups.services.prune import AT_ONCE, deletion_fault, forget
from backups.services.request_copy import cancel_waiting
from databases.models import Database, Policy
from databases.selectors import site_policy
from jobs.models import LogLine, Status
from jobs.services.tally import add
from notifications.models import Severity
from notifications.services.record import record_event

EVERY = timedelta(hours=1)
ROUND_S = 1.0  # a round of the sweeper goes on where it was in the next one
NAMED = 20  # in the message of an event

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """`expired` are marked, their objects still have to go; `history` are rows that `forget_history` takes."""

    verdicts: list[Verdict]
    expired: list[str]
    history: list[str]


def retain_due() -> int:
    """The sweeper's step: every Database once an hour, and after a backup was completed or a policy changed."""
    started = time.monotonic()
    policy, reading = site_policy(), backups_being_read()
    changed, history = 0, list[str]()
    for database in _due(policy).order_by(F("retained__at").asc(nulls_first=True), "pk")[:AT_ONCE]:
        if time.monotonic() - started > ROUND_S:
            break
        try:
            outcome = retain_database(database=database, being_read=reading)
            changed += len(outcome.expired)
            history += outcome.history
        except Exception:
            # What is wrong with one Database must not keep the others from their retention.
            logger.exception("retention of %s failed", database.pk)
    return changed + forget_history(history)


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


def retain_database(*, database: Database, being_read: set[str] | None = None, now: datetime | None = None) -> Outcome:
    """What was locked, read or built on meanwhile stays: that is looked at again under each row's lock.

    Limits are read here: of many Databases, some are changed or deleted before their turn comes.
    """
    now = now or timezone.now()
    current = Database.objects.filter(pk=database.pk).first()
    if current is None:
        return Outcome([], [], [])
    database, limits = current, limits_of(current, site_policy())
    verdicts = explain_retention(database=database, limits=limits, now=now, being_read=being_read)
    _note_expiry(database, verdicts)
    going = [verdict for verdict in verdicts if verdict.goes]
    completed = sorted((one for one in going if one.fact.status == COMPLETED), key=lambda one: -one.depth)
    expired = [verdict.fact.id for verdict in completed if _expire(verdict)]
    if expired:
        add("backupsite_retention_deletions", len(expired), engine=database.engine)
    if expired:
        _record(database, expired)
    looked = Retained(database=database, at=now)
    Retained.objects.bulk_create([looked], update_conflicts=True, unique_fields=["database"], update_fields=["at"])
    return Outcome(verdicts, expired, [verdict.fact.id for verdict in going if verdict.fact.status != COMPLETED])


def forget_history(ids: list[str]) -> int:
    """Deletes rows of failed and cancelled backups, of many Databases at once; returns how many."""
    return sum(forget(_history(ids[at : at + AT_ONCE])) for at in range(0, len(ids), AT_ONCE))


def _expire(verdict: Verdict) -> bool:
    """False when it has to stay after all."""
    with transaction.atomic():
        row = Backup.objects.select_for_update().defer("manifest").filter(pk=verdict.fact.id).first()
        if row is None or row.status != Status.COMPLETED or deletion_fault(row):
            return False
        if not Backup.objects.filter(pk=verdict.newest, status=Status.COMPLETED).exists():
            return False  # somebody deleted the one that let it go
        row.copies.update(state=Copy.State.DELETING)
        cancel_waiting(row.copy_jobs.all())
        Backup.objects.filter(pk=row.pk).update(status=Status.DELETING, expiring=True)
        LogLine.objects.create(
            job_kind=Backup.kind, job_id=row.pk, attempt=row.attempt, message=f"expires: {', '.join(verdict.passed)}"
        )
    return True


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
