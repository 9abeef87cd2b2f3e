"""What the schedules do next: each due time of the coming 24 hours, of backups and of drills."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import nsmallest

from django.utils import timezone

from backups.standing import Standing
from databases.schedule import next_due
from databases.upcoming import AHEAD, cannot_be_followed, due_within

NEXT = 6  # named; the others are counted


@dataclass(frozen=True, slots=True)
class Due:
    at: datetime
    of: Standing
    drill: bool


@dataclass(frozen=True, slots=True)
class Hour:
    """How much is due in one hour of the day."""

    at: datetime
    backups: int
    drills: int

    @property
    def total(self) -> int:
        return self.backups + self.drills

    @property
    def clock(self) -> str:
        """In the reader's timezone."""
        return f"{timezone.localtime(self.at):%H:%M}"


@dataclass(frozen=True)
class Upcoming:
    hours: list[Hour]
    soonest: list[Due]
    databases: int  # that are due
    first: Due | None  # which may come later than that

    @property
    def total(self) -> int:
        return sum(hour.total for hour in self.hours)


def upcoming(standings: Iterable[Standing], *, now: datetime) -> Upcoming:
    """Nothing of what is disabled, and nothing where schedules are paused."""
    due: list[tuple[datetime, int, bool]] = []
    known = [one for one in standings if one.enabled]
    databases, times = 0, _Times(now)
    for position, one in enumerate(known):
        own = times[one.crons, one.timezone]
        databases += bool(own)
        due += [(at, position, False) for at in own]
        due += [(at, position, True) for at in times[one.drill_crons, one.timezone]]
    first = now.replace(minute=0, second=0, microsecond=0)
    counts = [[0, 0] for _ in range(25)]
    for at, _, drill in due:
        counts[int((at - first).total_seconds() // 3600)][drill] += 1
    hours = [Hour(first + timedelta(hours=number), *both) for number, both in enumerate(counts)]
    soonest = [Due(at, known[position], drill) for at, position, drill in nsmallest(NEXT, due)]
    return Upcoming(hours, soonest, databases, soonest[0] if soonest else _later(known, now))


class _Times(dict[tuple[tuple[str, ...], str], list[datetime]]):
    """Due times by schedule: most Databases share theirs with others."""

    def __init__(self, now: datetime) -> None:
        super().__init__()
        self.now = now

    def __missing__(self, key: tuple[tuple[str, ...], str]) -> list[datetime]:
        self[key] = due_within(*key, self.now)
        return self[key]


def _later(standings: Iterable[Standing], now: datetime) -> Due | None:
    """The first due time of a backup after the coming 24 hours."""
    after = (now + AHEAD).replace(minute=0, second=0, microsecond=0)  # alike for an hour: it is remembered
    followed = (one for one in standings if one.crons and not cannot_be_followed(one.crons, one.timezone))
    due = ((at, one) for one in followed if (at := next_due(one.crons, one.timezone, after)) is not None)
    first = min(due, key=lambda pair: pair[0], default=None)
    return first and Due(first[0], first[1], False)
