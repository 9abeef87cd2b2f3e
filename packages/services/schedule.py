"""Slots: each due time of the packages' schedule is recorded once, with what came of it."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from databases.blackouts import free_after
from databases.schedule import crons, latest_runs
from databases.selectors import site_policy
from jobs.errors import BackupError
from jobs.models import OPEN
from packages.models import Package, PackageSlot
from packages.selectors import package_policy
from packages.services.request import request_package

LATE = timedelta(minutes=2)
REMEMBERED = 50  # due times of one outage that are recorded as missed, the newest


def ensure_slots() -> int:
    """The sweeper's step: records the newest due time up to now and requests its package; returns the new slots.

    Callers side by side are harmless: a slot is unique. Later than two minutes is a catch-up; of several that were
    missed the newest stands for all.
    """
    policy, now = package_policy(), timezone.now()
    if not crons(policy.schedule):
        return 0
    last = PackageSlot.objects.filter(due_at__lte=now).order_by("-due_at").values_list("due_at", flat=True).first()
    # What lies in the future was written by a clock that ran ahead: nobody waits for it.
    after = max((at for at in (last, policy.scheduled_since) if at and at <= now), default=now - LATE)
    due = latest_runs(policy.schedule, policy.timezone, after=after, until=now, count=REMEMBERED + 1)
    if not due:
        return 0
    newest, *missed = due
    with transaction.atomic():
        return _decide(newest, now) + _miss(missed)


def _decide(due: datetime, now: datetime) -> int:
    late = now - due > LATE
    site = site_policy()
    if site.paused:
        return _skip(due, "schedules are paused")
    if Package.objects.filter(status__in=OPEN).exists():
        return _skip(due, "an earlier package still waits or runs")
    start = free_after(site.blackouts, now)
    if start is None:
        return _skip(due, "the blackouts leave no time")
    return _request(due, late=late, start=start if start > now else None)


def _request(due: datetime, *, late: bool, start: datetime | None) -> int:
    outcome = PackageSlot.Outcome.CAUGHT_UP if late else PackageSlot.Outcome.REQUESTED
    trigger = Package.Trigger.CATCH_UP if late else Package.Trigger.SCHEDULE
    try:
        with transaction.atomic():
            slot = PackageSlot.objects.create(due_at=due, outcome=outcome)
            slot.package = request_package(trigger=trigger, scheduled_at=start)
            slot.save(update_fields=["package"])
    except IntegrityError:
        return 0  # somebody else recorded it
    except BackupError as error:
        return _skip(due, str(error)[:200])
    return 1


def _skip(due: datetime, reason: str) -> int:
    return _record([due], reason)


def _miss(missed: Iterable[datetime]) -> int:
    return _record(missed, "missed: nothing was running to start it")


def _record(times: Iterable[datetime], reason: str) -> int:
    """Leaves alone what somebody else recorded."""
    defaults = {"outcome": PackageSlot.Outcome.SKIPPED, "reason": reason}
    return sum(PackageSlot.objects.get_or_create(due_at=due, defaults=defaults)[1] for due in times)
