"""Slots of drills: each due time is recorded once, with what came of it."""

import logging
import time
from collections.abc import Iterable
from datetime import datetime

from django.db import Error as DatabaseFault
from django.db import IntegrityError, transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.utils import timezone

from backups.models import Drill, DrillPlan, DrillSlot
from backups.services.request_drill import request_drill
from backups.services.schedule import LATE, MISSED, PAUSED, REMEMBERED
from backups.services.wait_for_identity import give_identity, wait_for_identity
from databases.models import Database
from databases.schedule import crons, latest_runs, next_due
from databases.selectors import site_policy
from jobs.errors import BackupError
from jobs.models import OPEN

logger = logging.getLogger(__name__)

ROUND_S = 0.4  # of a round of the sweeper, in which leases and rings wait meanwhile


def ensure_drill_slots() -> int:
    """The sweeper's step: records and requests the drills that are due. Returns the new slots.

    Where very many are due at the same minute it is a slice of them; the next round follows at once. After an outage
    one drill stands for all that were missed.
    """
    started, recorded = time.monotonic(), 0
    now, paused = timezone.now(), site_policy().paused
    for plan in _scheduled(now):
        recorded += _tried(plan, now, paused=paused)
        if recorded and time.monotonic() - started > ROUND_S:
            break
    return recorded


def _scheduled(now: datetime) -> QuerySet[DrillPlan]:
    """Each with its Database and the time of its last slot up to `now`, in one query."""
    last = DrillSlot.objects.filter(database=OuterRef("pk"), due_at__lte=now).order_by("-due_at").values("due_at")[:1]
    plans = DrillPlan.objects.filter(schedule__isnull=False, database__enabled=True).select_related("database")
    return plans.annotate(last_due_at=Subquery(last)).order_by("pk")


def _tried(plan: DrillPlan, now: datetime, *, paused: bool) -> int:
    try:
        due = next_due(tuple(crons(plan.schedule)), plan.database.timezone, _since(plan, now))
        return _ensure(plan, now, paused=paused) if due is not None and due <= now else 0
    except IntegrityError:
        return 0  # the Database was deleted meanwhile
    except DatabaseFault:
        raise
    except Exception:
        # A row that was edited by hand, or a timezone that is no more, must not keep the others from their drills.
        logger.exception("the drill schedule of %s cannot be followed", plan.pk)
        return 0


def _since(plan: DrillPlan, now: datetime) -> datetime:
    """After the last slot and the schedule's last change. What lies in the future was written by a wrong clock."""
    last: datetime | None = getattr(plan, "last_due_at", None)
    return max((at for at in (last, plan.scheduled_since) if at and at <= now), default=now - LATE)


def _ensure(plan: DrillPlan, now: datetime, *, paused: bool) -> int:
    zone, after = plan.database.timezone, _since(plan, now)
    newest, *missed = latest_runs(plan.schedule, zone, after=after, until=now, count=REMEMBERED + 1)
    with transaction.atomic():
        return _decide(plan.database, newest, now, paused=paused) + _miss(plan.database, missed)


def _decide(database: Database, due: datetime, now: datetime, *, paused: bool) -> int:
    if paused:
        return _skip(database, due, PAUSED)
    if drill := Drill.objects.filter(database=database, status__in=OPEN).first():
        return _skip(database, due, _still_open(drill))
    late = now - due > LATE
    outcome = DrillSlot.Outcome.CAUGHT_UP if late else DrillSlot.Outcome.REQUESTED
    trigger = Drill.Trigger.CATCH_UP if late else Drill.Trigger.SCHEDULE
    try:
        with transaction.atomic():
            slot = DrillSlot.objects.create(database=database, due_at=due, outcome=outcome)
            slot.drill = _asked_for(database, trigger)
            slot.save(update_fields=["drill"])
    except IntegrityError:
        return 0  # somebody else recorded it
    except BackupError as error:
        return _skip(database, due, str(error)[:200])  # nothing to drill
    return 1


def _asked_for(database: Database, trigger: str) -> Drill:
    try:
        with transaction.atomic():
            return request_drill(database=database, trigger=trigger)
    except BackupError as error:
        if error.code != "missing_key":
            raise
        return wait_for_identity(database=database, trigger=trigger)


def _still_open(drill: Drill) -> str:
    """Why another one is not asked for. One that waits for a key begins where the site has been given one since."""
    if not drill.waits_for_identity:
        return "an earlier drill still waits or runs"
    try:
        with transaction.atomic():
            give_identity(drill=drill)
    except BackupError:
        return "an earlier drill waits for the age secret key"
    return "an earlier drill began, which had waited for a key"


def _skip(database: Database, due: datetime, reason: str) -> int:
    return _record([DrillSlot(database=database, due_at=due, outcome=DrillSlot.Outcome.SKIPPED, reason=reason)])


def _miss(database: Database, missed: Iterable[datetime]) -> int:
    skipped = DrillSlot.Outcome.SKIPPED
    return _record(DrillSlot(database=database, due_at=due, outcome=skipped, reason=MISSED) for due in missed)


def _record(slots: Iterable[DrillSlot]) -> int:
    """Leaves alone what somebody else recorded."""
    return sum(
        DrillSlot.objects.get_or_create(
            database=slot.database, due_at=slot.due_at, defaults={"outcome": slot.outcome, "reason": slot.reason}
        )[1]
        for slot in slots
    )
