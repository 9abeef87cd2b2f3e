"""Cron schedules: what is valid, and when the next runs are. Pure functions."""

from collections.abc import Iterator
from datetime import UTC, datetime
from heapq import merge
from itertools import groupby, islice
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

INHERIT = "inherit"


def crons(schedule: Any) -> list[str]:
    """A schedule as a list of cron expressions; none for null."""
    if schedule is None or schedule == INHERIT:
        return []
    return [schedule] if isinstance(schedule, str) else list(schedule)


def schedule_fault(schedule: object) -> str | None:
    """What is wrong with a schedule, in words; None when it is valid."""
    if schedule is None or schedule == INHERIT:
        return None
    if not isinstance(schedule, str | list) or not crons(schedule):
        return "A schedule is a 5-field cron expression, a list of them, 'inherit' or null."
    given: list[object] = [*crons(schedule)]
    for expression in given:
        if not isinstance(expression, str) or len(expression.split()) != 5:
            return f"{expression!r} is not a 5-field cron expression such as '30 3 * * *'."
        try:
            next(CronSim(expression, datetime(2024, 1, 1, tzinfo=UTC)))
        except CronSimError as error:
            return f"{expression!r} is not a cron expression: {error}."
        except StopIteration:
            return f"{expression!r} never comes true."
    return None


def timezone_fault(name: str) -> str | None:
    if name in available_timezones():
        return None
    return f"{name!r} is not an IANA timezone such as 'Europe/Berlin'."


def next_runs(schedule: Any, timezone: str, *, after: datetime, count: int = 5) -> list[datetime]:
    """The next `count` due times in UTC, strictly after `after`; one for each time that several crons share."""
    zone = ZoneInfo(timezone)
    series = [_due(expression, after.astimezone(zone)) for expression in crons(schedule)]
    return [due for due, _ in islice(groupby(merge(*series)), count)]


def _due(expression: str, after: datetime) -> Iterator[datetime]:
    for due in CronSim(expression, after):
        yield due.astimezone(UTC)
