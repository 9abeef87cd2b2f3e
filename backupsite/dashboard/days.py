"""What happened day by day, counted by the site's database; a day is one of the reader's timezone."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import Case, CharField, Count, IntegerField, Q, QuerySet, Value, When
from django.utils import timezone

from backups.models import Backup, Slot
from jobs.models import Status
from jobs.templatetags.parts import Day

CHART_DAYS, STRIP_DAYS = 14, 30
RECENT = timedelta(hours=24)
GOOD = frozenset({Status.COMPLETED, Status.EXPIRED, Status.DELETING})
MISSED = "missed"  # how the reason of a slot begins that nothing was running to start


def last_days(count: int) -> list[date]:
    """Today and those before it, the oldest first."""
    today = timezone.localdate()
    return [today - timedelta(days=back) for back in range(count - 1, -1, -1)]


def start_of(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


@dataclass(frozen=True)
class Runs:
    """Backups of one day by how they ended."""

    day: date
    completed: int
    failed: int
    cancelled: int

    @property
    def total(self) -> int:
        return self.completed + self.failed + self.cancelled


@dataclass(frozen=True)
class Recent:
    """Backups asked for in the last 24 hours."""

    completed: int
    failed: int
    total: int


def runs_by_day() -> tuple[list[Runs], Recent]:
    """The last 14 days, and the last 24 hours; one query over an index that holds all it asks for."""
    days = last_days(CHART_DAYS)
    since = timezone.now() - RECENT
    every = [status.value for status in Status]  # named, so that the index by status and time is the one that is read
    rows = (
        Backup.objects.filter(status__in=every, created_at__gte=start_of(days[0]))
        .order_by()
        .values("status", day=_bucket("created_at", days), recent=Case(When(created_at__gte=since, then=1), default=0))
        .annotate(count=Count("pk"))
    )
    by_day: list[Counter[str]] = [Counter() for _ in days]
    recent: Counter[str] = Counter()
    for row in rows:
        by_day[row["day"]][_ended(row["status"])] += row["count"]
        if row["recent"]:
            recent[_ended(row["status"])] += row["count"]
    runs = [
        Runs(day, counted["completed"], counted["failed"], counted["cancelled"])
        for day, counted in zip(days, by_day, strict=True)
    ]
    return runs, Recent(recent["completed"], recent["failed"], sum(recent.values()))


def strips(ids: Sequence[str]) -> dict[str, list[Day]]:
    """The last 30 days of these Databases; one query."""
    days = last_days(STRIP_DAYS)
    found: dict[str, list[Counter[str]]] = {pk: [Counter() for _ in days] for pk in ids}
    backups = Backup.objects.filter(database__in=ids, created_at__gte=start_of(days[0]))
    slots = Slot.objects.filter(
        database__in=ids, due_at__gte=start_of(days[0]), outcome=Slot.Outcome.SKIPPED, reason__startswith=MISSED
    )
    ran = _grouped(backups, "created_at", days, "status", proven=Count("proven_at"))
    missed = _grouped(
        slots, "due_at", days, Value(MISSED, output_field=CharField()), proven=Value(0, output_field=IntegerField())
    )
    for pk, day, what, count, proven in ran.union(missed, all=True):
        found[pk][day][_ended(what)] += count
        found[pk][day]["proven"] += proven
    return {
        pk: [Day(day, _state(counted), counted["proven"] > 0) for day, counted in zip(days, counts, strict=True)]
        for pk, counts in found.items()
    }


def _grouped(rows: QuerySet[Any], at: str, days: Sequence[date], what: Any, *, proven: Any) -> QuerySet[Any]:
    named = rows.order_by().annotate(of_day=_bucket(at, days))
    if not isinstance(what, str):
        named, what = named.annotate(was=what), "was"
    return (
        named.values("database_id", "of_day", what)
        .annotate(count=Count("pk"), proofs=proven)
        .values_list("database_id", "of_day", what, "count", "proofs")
    )


def _bucket(field: str, days: Sequence[date]) -> Case:
    """The position in `days` that a time falls on; times before the first are to be left out."""
    newest_first = range(len(days) - 1, 0, -1)
    whens = [When(Q(**{f"{field}__gte": start_of(days[position])}), then=position) for position in newest_first]
    return Case(*whens, default=0, output_field=IntegerField())


def _ended(status: str) -> str:
    return "completed" if status in GOOD else status


def _state(counted: Counter[str]) -> str:
    if counted[Status.IN_PROGRESS]:
        return "running"
    if counted["completed"]:
        return "mixed" if counted[Status.FAILED] else "completed"
    return next((name for name in (Status.FAILED.value, MISSED) if counted[name]), "none")
