"""Slots: each due time of a schedule is recorded once, with what came of it."""

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from backups.models import Backup, Slot
from backups.services.request import request_backup
from databases.models import Database
from databases.schedule import crons, next_runs
from jobs.errors import BackupError
from jobs.models import OPEN

LATE = timedelta(minutes=2)


def ensure_slots() -> int:
    """The sweeper's step: records and requests what is due, for every enabled Database. Returns the new slots."""
    now = timezone.now()
    scheduled = Database.objects.filter(enabled=True, schedule__isnull=False)
    return sum(ensure_slot(database=database, now=now) for database in scheduled)


def ensure_slot(*, database: Database, now: datetime) -> int:
    """Records the latest due time up to `now` unless it has a slot; 1 when it was recorded here, else 0.

    Two callers at once are harmless: the slot is unique. Later than two minutes is a catch-up.
    """
    due = _latest_due(database, now)
    if due is None or Slot.objects.filter(database=database, due_at=due).exists():
        return 0
    late = now - due > LATE
    if late and database.catch_up == "none":
        return _record(database, due, Slot.Outcome.SKIPPED, reason="missed, and catch_up is none")
    if Backup.objects.filter(database=database, status__in=OPEN).exists():
        return _record(database, due, Slot.Outcome.SKIPPED, reason="an earlier backup still waits or runs")
    outcome = Slot.Outcome.CAUGHT_UP if late else Slot.Outcome.REQUESTED
    return _record(database, due, outcome, request=True)


def _latest_due(database: Database, now: datetime) -> datetime | None:
    """The newest due time after the last slot (or the schedule's last change, so that no past is invented)."""
    if not crons(database.schedule):
        return None
    last = Slot.objects.filter(database=database).order_by("-due_at").values_list("due_at", flat=True).first()
    start = max(filter(None, [last, database.scheduled_since]))
    latest = None
    while upcoming := [due for due in next_runs(database.schedule, database.timezone, after=start) if due <= now]:
        latest = start = upcoming[-1]
    return latest


def _record(database: Database, due: datetime, outcome: str, *, reason: str = "", request: bool = False) -> int:
    try:
        with transaction.atomic():
            slot = Slot.objects.create(database=database, due_at=due, outcome=outcome, reason=reason)
            if request:
                trigger = Backup.Trigger.CATCH_UP if outcome == Slot.Outcome.CAUGHT_UP else Backup.Trigger.SCHEDULE
                slot.backup = request_backup(database=database, type=database.scheduled_type, trigger=trigger)
                slot.save(update_fields=["backup"])
    except IntegrityError:
        return 0
    except BackupError as error:
        return _record(database, due, Slot.Outcome.SKIPPED, reason=str(error)[:200])
    return 1
