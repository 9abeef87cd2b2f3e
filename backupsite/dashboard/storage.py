"""How full each destination is, how fast it grows, and when it would be full."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import F, FilteredRelation, Q
from django.utils import timezone

from backups.models import Destination
from backups.services.look import FULL
from backups.standing import READABLE

HISTORY = timedelta(days=30)
LEAST = 3  # days of history that a forecast asks for
FORESEEN = 5 * 365  # days; beyond them it is as good as never
WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Place:
    """One destination; `days` are its stored bytes by day (UTC), the oldest first."""

    destination: Destination
    days: dict[date, int]

    @property
    def used(self) -> int:
        return self.days[max(self.days)] if self.days else 0

    @property
    def free(self) -> int | None:
        return self.destination.free_bytes

    @property
    def percent(self) -> int | None:
        """Of what it could hold of ours; None where the store has no such figure."""
        if self.free is None:
            return None
        return round(100 * self.used / (self.used + self.free)) if self.used + self.free else 100

    @property
    def a_day(self) -> float | None:
        """Bytes it grows by in a day; None while the history is too short to say."""
        if not self.days or (span := (max(self.days) - min(self.days)).days) < LEAST:
            return None
        return (self.days[max(self.days)] - self.days[min(self.days)]) / span

    @property
    def full_on(self) -> date | None:
        """When it is full if it goes on like that; None when that is not foreseen, or not known."""
        if self.free is None or not self.a_day or self.a_day < 0 or self.free / self.a_day > FORESEEN:
            return None
        return timezone.localdate() + timedelta(days=int(self.free / self.a_day))

    @property
    def forecast(self) -> str:
        """`full`, `soon` (within two weeks), `later`, `never`, `early` (to say) or `unknown` (no figure)."""
        if self.free == 0 or self.destination.fault == FULL:  # the reserve is touched before nothing at all is free
            return "full"
        if self.free is None:
            return "unknown"
        if self.a_day is None:
            return "early"
        if self.full_on is None:
            return "never"
        return "soon" if self.full_on <= timezone.localdate() + 2 * WEEK else "later"

    @property
    def tone(self) -> str:
        fault = self.destination.fault
        if fault and fault not in READABLE:
            return "bad"
        return {"full": "bad", "soon": "warn"}.get(self.forecast, "good")


@dataclass(frozen=True)
class Stored:
    """Bytes of all destinations together; `growth` since about a week ago, None while that is too early to say."""

    total: int
    growth: int | None
    days: list[tuple[date, int]]
    counted_at: datetime | None


def places() -> list[Place]:
    """By name, each with the last 30 days; one query."""
    since = timezone.now().date() - HISTORY
    rows = Destination.objects.annotate(
        recent=FilteredRelation("usage", condition=Q(usage__day__gte=since)),
        of_day=F("recent__day"),
        stored_bytes=F("recent__stored_bytes"),
        counted_at=F("recent__counted_at"),
    ).order_by("-is_default", "name", "pk", "of_day")
    found: dict[str, Place] = {}
    for row in rows:
        destination: Any = row
        place = found.setdefault(row.pk, Place(row, {}))
        if destination.of_day is not None:
            place.days[destination.of_day] = destination.stored_bytes
            place.destination.counted_at = destination.counted_at  # type: ignore[attr-defined]
    return list(found.values())


def stored(known: Sequence[Place]) -> Stored:
    days = sorted({day for place in known for day in place.days})
    series = [(day, sum(_upto(place, day) for place in known)) for day in days]
    total = series[-1][1] if series else 0
    before = [amount for day, amount in series if day <= days[-1] - WEEK]
    growth = total - before[-1] if before else None
    counted = [at for place in known if (at := getattr(place.destination, "counted_at", None)) is not None]
    return Stored(total, growth, series, max(counted, default=None))


def _upto(place: Place, day: date) -> int:
    """What lay there at the end of that day: a day that nobody counted is as the one before it."""
    known = [at for at in place.days if at <= day]
    return place.days[max(known)] if known else 0
