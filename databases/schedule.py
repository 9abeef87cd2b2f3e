"""Cron schedules: what is valid, and when the next runs are. Pure functions."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from heapq import merge
from itertools import groupby, islice, takewhile
from typing import Any
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from jobs.timezones import known_timezones

INHERIT = "inherit"
SECOND = timedelta(seconds=1)
WORDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


def crons(schedule: Any) -> list[str]:
    """A schedule as a list of 5-field cron expressions; none for null, nor for what `schedule_fault` refuses."""
    if not isinstance(schedule, str | list) or schedule == INHERIT:
        return []
    given = [schedule] if isinstance(schedule, str) else schedule
    return [WORDS.get(expression, expression) for expression in given]


def sentence(schedule: Any) -> str:
    """A valid schedule in plain English; empty for none."""
    told = [CronSim(expression, datetime(2024, 1, 1, tzinfo=UTC)).explain() for expression in crons(schedule)]
    return "; ".join(told)


def schedule_fault(schedule: object) -> str | None:
    """What is wrong with a schedule, in words; None when it is valid."""
    if schedule is None or schedule == INHERIT:
        return None
    if not isinstance(schedule, str | list) or not schedule:
        return "A schedule is a 5-field cron expression, a list of them, 'inherit' or null."
    given: list[object] = [schedule] if isinstance(schedule, str) else [*schedule]
    for expression in given:
        if not isinstance(expression, str):
            return f"{expression!r} is not a 5-field cron expression such as '30 3 * * *'."
        expression = WORDS.get(expression, expression)
        if len(expression.split()) != 5:
            return (
                f"{expression!r} is not a 5-field cron expression such as '30 3 * * *', nor one of {', '.join(WORDS)}."
            )
        try:
            next(CronSim(expression, datetime(2024, 1, 1, tzinfo=UTC)))
        except CronSimError as error:
            return f"{expression!r} is not a cron expression: {error}."
        except StopIteration:
            return f"{expression!r} never comes true."
    return None


def timezone_fault(name: object) -> str | None:
    if isinstance(name, str) and name in known_timezones():
        return None
    return f"{name!r} is not an IANA timezone such as 'Europe/Berlin'."


def next_runs(schedule: Any, timezone: str, *, after: datetime, count: int = 5) -> list[datetime]:
    """The next `count` due times in UTC, strictly after `after`; one for each time that several crons share."""
    zone = ZoneInfo(timezone)
    series = [_due(expression, after.astimezone(zone)) for expression in crons(schedule)]
    return [due for due, _ in islice(groupby(merge(*series)), count)]


@lru_cache(maxsize=20_000)
def next_due(crons: tuple[str, ...], timezone: str, after: datetime) -> datetime | None:
    """Asked every round for every Database, and changes once a run: remembered."""
    return next(iter(next_runs(list(crons), timezone, after=after, count=1)), None)


def latest_runs(schedule: Any, timezone: str, *, after: datetime, until: datetime, count: int) -> list[datetime]:
    """The newest due times after `after` and up to `until`, at most `count`, in UTC, the newest first."""
    zone = ZoneInfo(timezone)
    series = [_due(expression, (until + SECOND).astimezone(zone), reverse=True) for expression in crons(schedule)]
    newest = (due for due, _ in groupby(merge(*series, reverse=True)))
    return list(islice(takewhile(lambda due: due > after, newest), count))


def _due(expression: str, start: datetime, *, reverse: bool = False) -> Iterator[datetime]:
    for due in CronSim(expression, start, reverse=reverse):
        yield due.astimezone(UTC)
