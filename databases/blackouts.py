"""Blackout windows: times of the day in which no schedule starts a backup. Pure functions.

A window is `{"from": "HH:MM", "to": "HH:MM", "days": ["mon", ...], "timezone": "Europe/Berlin"}`; `days` are those it
begins on (left out: every day), `timezone` is UTC where it is left out, and one that ends before it begins ends on the
following day.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from databases.schedule import timezone_fault

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LONGEST = timedelta(days=8)  # windows that join to more than a week leave no time at all


def blackouts_fault(windows: object) -> str | None:
    """What is wrong with a list of windows, in words; None when it is valid."""
    if not isinstance(windows, list):
        return "Blackouts are a list of windows."
    for window in windows:
        if fault := _fault(window):
            return fault
    now = datetime(2026, 1, 1, tzinfo=UTC)
    if free_after(windows, now) is None:
        return "The blackouts leave no time at all."
    return None


def free_after(windows: Sequence[Mapping[str, Any]], at: datetime) -> datetime | None:
    """The first time from `at` on, in UTC, that lies in no window; None when there is none within eight days."""
    free = at
    while end := next((end for window in windows for end in _ends(window, free)), None):
        free = end
        if free - at > LONGEST:
            return None
    return free.astimezone(UTC)


def _ends(window: Mapping[str, Any], at: datetime) -> Iterator[datetime]:
    """When the window ends, for those of its days that cover `at`."""
    zone = ZoneInfo(window.get("timezone", "UTC"))
    begins, ends = _time(window["from"]), _time(window["to"])
    today = at.astimezone(zone).date()
    for day in (today - timedelta(days=1), today):
        if DAYS[day.weekday()] not in window.get("days", DAYS):
            continue
        start = datetime.combine(day, begins, zone)
        end = datetime.combine(day + timedelta(days=int(ends <= begins)), ends, zone)
        if start <= at < end:
            yield end


def _fault(window: object) -> str | None:
    if not isinstance(window, dict) or not {"from", "to"} <= set(window) <= {"from", "to", "days", "timezone"}:
        return "A blackout has 'from' and 'to' (HH:MM), and may have 'days' and 'timezone'."
    try:
        _time(window["from"]), _time(window["to"])
    except (ValueError, TypeError):
        return "'from' and 'to' of a blackout are times such as '08:30'."
    days = window.get("days", DAYS)
    if not isinstance(days, list | tuple) or not days or not all(day in DAYS for day in days):
        return f"'days' of a blackout are among {', '.join(DAYS)}."
    return timezone_fault(window.get("timezone", "UTC"))


def _time(text: str) -> time:
    """Raises ValueError, or TypeError for what is no text."""
    return datetime.strptime(text, "%H:%M").replace(tzinfo=UTC).time()
