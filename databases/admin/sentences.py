"""Schedules in words, in the reader's language; in English as the API says them."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from cronsim import CronSim
from django.utils.dates import WEEKDAYS
from django.utils.text import capfirst, get_text_list
from django.utils.translation import get_language, gettext, ngettext

from databases.schedule import crons, sentence

MOST = 6  # times of day that are named one by one
EVERY_DAY, EVERY_MONTH = set(range(1, 32)), set(range(1, 13))


def told(schedule: Any) -> str:
    """A valid schedule in words; empty for none."""
    if (get_language() or "en").startswith("en"):
        return sentence(schedule)
    return "; ".join(_told(expression) for expression in crons(schedule))


def _told(expression: str) -> str:
    """What is not said in a word or two is shown as it is written: better than half of it."""
    cron = CronSim(expression, datetime(2024, 1, 1, tzinfo=UTC))
    times, days = _times(cron), _days(cron)
    if not times or not days or set(cron.months) != EVERY_MONTH:
        return gettext("As %(cron)s says") % {"cron": expression}
    return capfirst(gettext("%(times)s, %(days)s") % {"times": times, "days": days})


def _times(cron: CronSim) -> str:
    minutes, hours = sorted(cron.minutes), sorted(cron.hours)
    if len(minutes) * len(hours) <= MOST:
        times = _listed(f"{hour:02}:{minute:02}" for hour in hours for minute in minutes)
        return gettext("at %(times)s") % {"times": times}
    if len(hours) == 24 and len(minutes) == 60:
        return gettext("every minute")
    if len(hours) == 24 and len(minutes) == 1:
        return gettext("every hour at minute %(minute)s") % {"minute": minutes[0]}
    if len(hours) == 24 and (step := _step(minutes, 60)):
        return gettext("every %(number)s minutes") % {"number": step}
    if len(minutes) == 1 and (step := _step(hours, 24)):
        return gettext("every %(number)s hours from %(time)s") % {
            "number": step,
            "time": f"{hours[0]:02}:{minutes[0]:02}",
        }
    return ""


def _days(cron: CronSim) -> str:
    """Empty where both days of the week and of the month are asked for: cron takes either."""
    days, weekdays = set(cron.days), {day % 7 for day in cron.weekdays if isinstance(day, int)}
    if any(isinstance(day, tuple) for day in cron.weekdays):  # such as the second Monday
        return ""
    if days == EVERY_DAY and len(weekdays) == 7:
        return gettext("every day")
    if days == EVERY_DAY and weekdays == {1, 2, 3, 4, 5}:
        return gettext("from Monday to Friday")
    if days == EVERY_DAY:
        return gettext("on %(weekdays)s") % {"weekdays": _listed(WEEKDAYS[(day - 1) % 7] for day in _week(weekdays))}
    if len(weekdays) == 7 and days == {CronSim.LAST}:
        return gettext("on the last day of the month")
    if len(weekdays) == 7 and min(days) > 0:
        text = ngettext("on day %(days)s of the month", "on days %(days)s of the month", len(days))
        return text % {"days": _listed(sorted(days))}
    return ""


def _week(weekdays: set[int]) -> list[int]:
    """From Monday on: cron's 0 is Sunday."""
    return sorted(weekdays, key=lambda day: (day - 1) % 7)


def _step(found: list[int], whole: int) -> int:
    """Of what comes round evenly; 0 for all else."""
    step = found[1] - found[0]
    return step if whole % step == 0 and found == list(range(found[0] % step, whole, step)) else 0


def _listed(things: Iterable[Any]) -> str:
    return get_text_list([str(thing) for thing in things], gettext("and"))
