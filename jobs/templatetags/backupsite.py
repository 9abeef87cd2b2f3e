"""How states, times and sizes are written in the admin."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from jobs.management.command import figure
from jobs.models import Status

register = template.Library()

UNITS = (("d", 86400), ("h", 3600), ("min", 60))
DAY = "%Y-%m-%d %H:%M"
FORMS = {"moment": DAY, "zoned": DAY, "clock": "%H:%M", "seconds": "%H:%M:%S"}

SHAPES = {
    Status.SCHEDULED: "schedule",
    Status.PENDING: "hourglass_empty",
    Status.IN_PROGRESS: "progress_activity",
    Status.COMPLETED: "check_circle",
    Status.FAILED: "error",
    Status.CANCELLED: "block",
    Status.EXPIRED: "history",
    Status.DELETING: "delete",
}


@register.filter
def badge(status: str) -> SafeString:
    """A status by colour, shape and word."""
    state = Status(status)
    return format_html(
        '<span class="bks-badge bks-{}"><span class="material-symbols-outlined" aria-hidden="true">{}</span>{}</span>',
        state.value,
        SHAPES[state],
        state.label,
    )


@register.filter
def words(code: str) -> str:
    """`row_hash` as it is read: `row hash`; in the reader's language where it is named for the translators."""
    return gettext(code.replace("_", " ")) if code else ""


@register.filter
def size(count: int | None) -> str:
    """As commands write it: `3.4 MiB`."""
    return "–" if count is None else figure(count)


@register.filter
def growth(count: int) -> str:
    """What was added or taken away: `+3.4 MiB`, `−1.2 GiB`."""
    return f"{'−' if count < 0 else '+'}{figure(abs(count))}"


@register.filter
def span(seconds: float | None) -> str:
    """`850 ms`, `4.2 s`, `3 min 20 s`, `2 h 05 min`."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))} ms"
    if seconds < 60:
        return f"{seconds} s" if isinstance(seconds, int) else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


@register.filter
def whole(seconds: float | None) -> int | None:
    """Whole seconds, for what counts while it is looked at."""
    return None if seconds is None else int(seconds)


@register.filter
def moment(at: datetime | None) -> SafeString | str:
    """A time in the reader's time zone, as `2026-03-01 03:00`; pointed at, it tells UTC."""
    return _time(at, "moment")


@register.filter
def zoned(at: datetime | None) -> SafeString | str:
    """With the zone, where nothing else on the page says it: `2026-03-01 03:00 UTC+1`."""
    return _time(at, "zoned")


@register.filter
def clock(at: datetime | None) -> SafeString | str:
    """`03:00`, where the day is plain."""
    return _time(at, "clock")


@register.filter
def seconds(at: datetime | None) -> SafeString | str:
    """`03:00:05`, as logs have it."""
    return _time(at, "seconds")


@register.filter
def elsewhere(at: datetime, name: str) -> str:
    """The same time as a schedule's own zone has it, where that is another: `21:00 UTC−5`."""
    there, here = at.astimezone(ZoneInfo(name)), timezone.localtime(at)
    if there.utcoffset() == here.utcoffset():
        return ""
    told = written(there, "zoned")
    return told if there.date() != here.date() else told.split(" ", 1)[1]


@register.simple_tag
def reader_zone() -> SafeString:
    """The name of the reader's time zone, for what is shown without any."""
    return format_html("<span data-zone>{}</span>", timezone.get_current_timezone_name())


def written(at: datetime, form: str = "zoned") -> str:
    """In the zone it is in. `static/backupsite/times.js` writes the same forms."""
    return at.strftime(FORMS[form]) + (f" {_offset(at)}" if form == "zoned" else "")


def _offset(at: datetime) -> str:
    """`UTC`, `UTC+1`, `UTC−3:30`: the letters of zones are known to few, and some mean several."""
    minutes = round((at.utcoffset() or timedelta()).total_seconds() / 60)
    hours, rest = divmod(abs(minutes), 60)
    if not minutes:
        return "UTC"
    return f"UTC{'+' if minutes > 0 else '−'}{hours}{f':{rest:02}' if rest else ''}"


def _time(at: datetime | None, form: str) -> SafeString | str:
    if at is None:
        return "–"
    exact = at.astimezone(UTC)
    texts = f"{exact:%Y-%m-%dT%H:%M:%SZ}", f"{exact:%Y-%m-%d %H:%M:%S}", form, written(timezone.localtime(at), form)
    return format_html('<time datetime="{}" title="{} UTC" data-as="{}">{}</time>', *texts)


@register.filter
def distance(at: datetime | None) -> str:
    """`in 3 h`, `in 41 s`, `12 min ago`, `just now`."""
    if at is None:
        return gettext("never")
    seconds = (at - timezone.now()).total_seconds()
    amount = abs(seconds)
    if -45 < seconds <= 0:
        return gettext("just now")
    if 0 < seconds < 60:
        return gettext("in %(time)s") % {"time": f"{max(1, int(seconds))} s"}
    unit, length = next(((unit, length) for unit, length in UNITS if amount >= length), UNITS[-1])
    time = {"time": f"{max(1, round(amount / length))} {unit}"}
    return (gettext("in %(time)s") if seconds > 0 else gettext("%(time)s ago")) % time


def two_lines(first: Any, second: Any) -> SafeString:
    """A cell of a list: what matters, and below it what tells it apart."""
    return format_html('<div class="bks-cell">{}<br><span class="bks-quiet">{}</span></div>', first, second)


@register.filter
def as_items(value: Any) -> Any:
    """The items of a mapping, for keys that are no identifiers."""
    return value.items() if isinstance(value, dict) else []
