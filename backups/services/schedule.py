"""Slots: each due time of a schedule is recorded once, with what came of it."""

import logging
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import sha256

from django.db import Error as DatabaseFault
from django.db import IntegrityError, transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.utils import timezone

from backups.models import Backup, Slot
from backups.services.request import request_backup
from databases.blackouts import free_after
from databases.models import Database, Policy
from databases.schedule import latest_runs, next_due
from databases.selectors import can_be_followed, schedule_of, site_policy
from jobs.errors import BackupError
from jobs.models import OPEN
from notifications.models import Severity
from notifications.services.record import record_event

logger = logging.getLogger(__name__)

ROUND_S = 0.8  # of a round of the sweeper, in which leases and rings wait meanwhile
LATE = timedelta(minutes=2)
PAUSED = "schedules are paused"
MISSED = "missed: nothing was running to start it"
REMEMBERED = 50  # due times of one outage that are recorded as missed, the newest


def ensure_slots() -> int:
    """The sweeper's step: records and requests what is due, for every enabled Database. Returns the new slots.

    Where very many are due at the same minute it is a slice of them; the next round follows at once.
    """
    started, recorded = time.monotonic(), 0
    now, policy = timezone.now(), site_policy()
    for database in _scheduled(now):
        recorded += _tried(database, policy, now)
        if recorded and time.monotonic() - started > ROUND_S:
            break
    return recorded


def ensure_slot(*, database_id: str, now: datetime) -> int:
    """Records the newest due time up to `now` unless it has a slot, and those that were missed before it.

    Returns how many were recorded here. Callers side by side are harmless: a slot is unique. Later than two minutes
    is a catch-up.
    """
    return sum(_ensure(database, site_policy(), now) for database in _scheduled(now).filter(pk=database_id))


def unrecorded() -> list[str]:
    """Ids of Databases that were due more than two minutes ago and have no slot: nobody has looked, or nobody can."""
    before, policy = timezone.now() - LATE, site_policy()
    return [
        database.pk
        for database in _scheduled(before).order_by("pk")
        if not can_be_followed(database, policy) or _is_due(database, policy, before)
    ]


def _tried(database: Database, policy: Policy, now: datetime) -> int:
    try:
        return _ensure(database, policy, now) if _is_due(database, policy, now) else 0
    except IntegrityError:
        return 0  # it was deleted meanwhile
    except DatabaseFault:
        raise
    except Exception:
        # A row that was edited by hand, or a timezone that is no more, must not keep the others from their backups.
        logger.exception("the schedule of %s cannot be followed", database.pk)
        return 0


def _scheduled(now: datetime) -> QuerySet[Database]:
    """Each with the time of its last slot up to `now`, in one query."""
    last = Slot.objects.filter(database=OuterRef("pk"), due_at__lte=now).order_by("-due_at").values("due_at")[:1]
    return Database.objects.filter(enabled=True, schedule__isnull=False).annotate(last_due_at=Subquery(last))


def _since(database: Database, now: datetime) -> datetime:
    """After the last slot, and after the schedule's last change: no past is invented.

    What lies in the future was written by a clock that ran ahead; to wait for it would be to miss what is due.
    """
    last: datetime | None = getattr(database, "last_due_at", None)
    return max((at for at in (last, database.scheduled_since) if at and at <= now), default=now - LATE)


def _is_due(database: Database, policy: Policy, now: datetime) -> bool:
    crons = schedule_of(database, policy)
    if not crons:
        return False
    due = next_due(tuple(crons), database.timezone, _since(database, now))
    return due is not None and due <= now


def _ensure(database: Database, policy: Policy, now: datetime) -> int:
    crons = schedule_of(database, policy)
    due = latest_runs(crons, database.timezone, after=_since(database, now), until=now, count=REMEMBERED + 1)
    if not due:
        return 0
    newest, *missed = due
    with transaction.atomic():
        return _decide(database, policy, newest, now) + _miss(database, missed)


def _decide(database: Database, policy: Policy, due: datetime, now: datetime) -> int:
    late = now - due > LATE
    if policy.paused:
        return _skip(database, due, PAUSED)
    if late and database.catch_up == "none":
        return _skip(database, due, "missed, and catch_up is none")
    if Backup.objects.filter(database=database, status__in=OPEN).exists():
        return _skip(database, due, "an earlier backup still waits or runs")
    start = free_after(policy.blackouts, max(due + _jitter(database, due, policy), now))
    if start is None:
        return _skip(database, due, "the blackouts leave no time")
    return _request(
        database, due, Slot.Outcome.CAUGHT_UP if late else Slot.Outcome.REQUESTED, start if start > now else None
    )


def _jitter(database: Database, due: datetime, policy: Policy) -> timedelta:
    """The same whoever asks, and another for each Database and time."""
    chance = int.from_bytes(sha256(f"{database.pk} {due.isoformat()}".encode()).digest()[:8])
    return timedelta(seconds=chance % (policy.jitter_s + 1))


def _request(database: Database, due: datetime, outcome: str, start: datetime | None) -> int:
    trigger = Backup.Trigger.CATCH_UP if outcome == Slot.Outcome.CAUGHT_UP else Backup.Trigger.SCHEDULE
    try:
        with transaction.atomic():
            slot = Slot.objects.create(database=database, due_at=due, outcome=outcome)
            slot.backup = request_backup(
                database=database, type=database.scheduled_type, trigger=trigger, scheduled_at=start
            )
            slot.save(update_fields=["backup"])
    except IntegrityError:
        return 0  # somebody else recorded it
    except BackupError as error:
        return _skip(database, due, str(error)[:200])
    return 1


def _skip(database: Database, due: datetime, reason: str) -> int:
    recorded = _record([Slot(database=database, due_at=due, outcome=Slot.Outcome.SKIPPED, reason=reason)])
    if recorded:
        at = f"{due:%Y-%m-%d %H:%M} UTC"
        severity = Severity.INFO if reason == PAUSED else Severity.WARNING
        _tell_skipped(database, f"{database.name} was not backed up at {at}: {reason}.", severity)
    return recorded


def _miss(database: Database, missed: Iterable[datetime]) -> int:
    """Due times before the newest one, at which nobody looked: one run stands for all of them."""
    recorded = _record(
        Slot(database=database, due_at=due, outcome=Slot.Outcome.SKIPPED, reason=MISSED) for due in missed
    )
    if recorded:
        _tell_skipped(database, f"{recorded} due times of {database.name} were {MISSED}.", Severity.WARNING)
    return recorded


def _tell_skipped(database: Database, message: str, severity: Severity) -> None:
    record_event(
        kind="schedule.skipped", severity=severity, subject_id=database.pk, database_id=database.pk, message=message
    )


def _record(slots: Iterable[Slot]) -> int:
    """Leaves alone what somebody else recorded."""
    return sum(
        Slot.objects.get_or_create(
            database=slot.database, due_at=slot.due_at, defaults={"outcome": slot.outcome, "reason": slot.reason}
        )[1]
        for slot in slots
    )
