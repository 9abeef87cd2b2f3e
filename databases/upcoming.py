"""The due times of the coming 24 hours, remembered by day: pages ask for them at every look."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from databases.schedule import SECOND, latest_runs, schedule_fault, timezone_fault

AHEAD = timedelta(hours=24)
A_DAY = 1441  # more due times than a day has minutes


def due_within(crons: tuple[str, ...], timezone: str, now: datetime) -> list[datetime]:
    """Due times of the coming 24 hours, in UTC; none of a schedule that cannot be followed."""
    if not crons:
        return []
    today = now.astimezone(UTC).date()
    days = (*_of_day(crons, timezone, today), *_of_day(crons, timezone, today + timedelta(days=1)))
    return [at for at in days if now < at < now + AHEAD]


def cannot_be_followed(crons: tuple[str, ...], timezone: str) -> bool:
    return bool(timezone_fault(timezone) or schedule_fault(list(crons)))


@lru_cache(maxsize=20_000)
def _of_day(crons: tuple[str, ...], timezone: str, day: date) -> tuple[datetime, ...]:
    if cannot_be_followed(crons, timezone):
        return ()
    begin = datetime.combine(day, time.min, tzinfo=UTC)
    end = begin + timedelta(days=1)
    runs = latest_runs(list(crons), timezone, after=begin - SECOND, until=end - SECOND, count=A_DAY)
    return tuple(reversed(runs))
