"""Parts of pages that are drawn on the server: nothing jumps, they print, and their words are in the page."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from django import template
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

register = template.Library()

WIDTH, HEIGHT = 104, 24  # of a sparkline, in its own units
CELL, GAP, TALL = 8, 2, 20  # of a strip: width of a day, space between two, height of a mark
MARKS = (
    ("completed", _("completed")),
    ("mixed", _("failed and completed")),
    ("failed", _("failed")),
    ("missed", _("missed")),
    ("running", _("running")),
    ("none", _("nothing ran")),
)
WORDS = dict(MARKS)
PROVEN = mark_safe('<path class="bks-day-proven" d="M4 0l2.5 2.5L4 5 1.5 2.5z"/>')


@dataclass(frozen=True)
class Day:
    """One mark of a strip: `state` is a name of MARKS; `proven` when a drill restored a backup of that day."""

    day: date
    state: str
    proven: bool = False


@register.simple_tag
def state_badge(tone: str, icon: str, text: Any) -> SafeString:
    """A badge by colour, shape and word, for what is no job's status; tones: good, bad, warn, now, quiet."""
    drawn = '<span class="material-symbols-outlined" aria-hidden="true">{}</span>'
    return format_html('<span class="bks-badge bks-tone-{}">' + drawn + "{}</span>", tone, icon, text)


@register.simple_tag
def sparkline(numbers: Sequence[float | None], label: str) -> SafeString:
    """A line through the numbers, the oldest first, from nought to the largest; None leaves a gap."""
    known = [number for number in numbers if number is not None]
    if len(known) < 2:
        return format_html('<span class="bks-spark-none" title="{}">–</span>', label)
    top = max(known) or 1
    step = WIDTH / (len(numbers) - 1)
    runs: list[list[str]] = [[]]
    for position, number in enumerate(numbers):
        if number is None:
            runs.append([])
        else:
            runs[-1].append(f"{position * step:.1f} {HEIGHT - 2 - (HEIGHT - 4) * number / top:.1f}")
    line = " ".join("M" + " L".join(run) for run in runs if run)
    area = f"{line} L{WIDTH} {HEIGHT} L0 {HEIGHT} Z" if len(known) == len(numbers) else ""
    return format_html(
        '<svg class="bks-spark" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}'
        '<path d="{}"/></svg>',
        WIDTH,
        HEIGHT,
        label,
        format_html('<path class="bks-spark-area" d="{}"/>', area) if area else "",
        line,
    )


@register.simple_tag
def strip(days: Sequence[Day], label: str) -> SafeString:
    """One mark a day, the oldest first; each says its day and state when pointed at, and all of them to a reader."""
    language = get_language() or ""
    cells = "".join(
        f'<g transform="translate({number * (CELL + GAP)} 0)">{_cell(day, language)}</g>'
        for number, day in enumerate(days)
    )
    return format_html(
        '<svg class="bks-strip" viewBox="0 0 {} 28" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>',
        max(1, len(days)) * (CELL + GAP) - GAP,
        f"{label}: {_summary(days)}",
        mark_safe(cells),
    )


@lru_cache(maxsize=2000)
def _cell(day: Day, language: str) -> str:
    """The same for every Database of which that day is alike, in one language: drawn once."""
    drawn = '<title>{}</title><rect width="{}" height="{}" y="6" fill="transparent"/>{}'
    return format_html(drawn, _words(day), CELL, TALL, _mark(day))


@register.simple_tag
def strip_mark(name: str) -> SafeString:
    """A mark of the strip's legend, in the middle of its line: a strip has the one for proven above its days."""
    if name == "proven":
        top, drawn = -9.5, PROVEN
    else:
        top, drawn = 4, _mark(Day(date.min, name))
    return format_html('<svg viewBox="0 {} {} 24" aria-hidden="true">{}</svg>', top, CELL, drawn)


@register.inclusion_tag("backupsite/parts/legend.html")
def strip_legend() -> dict[str, Any]:
    return {"marks": (*MARKS, ("proven", _("proven by a drill")))}


def _mark(day: Day) -> SafeString:
    """Each state has a shape of its own, so that it is told without its colour."""
    drawn = {
        "completed": '<rect class="bks-day-completed" y="6" width="8" height="20" rx="1.5"/>',
        "mixed": '<rect class="bks-day-failed" y="6" width="8" height="6" rx="1.5"/>'
        '<rect class="bks-day-completed" y="14" width="8" height="12" rx="1.5"/>',
        "failed": '<path class="bks-day-failed" d="M0 6h2l2 6 2-6h2l-3 10 3 10h-2l-2-6-2 6h-2l3-10z"/>',
        "missed": '<rect class="bks-day-missed" x=".75" y="6.75" width="6.5" height="18.5" rx="1.5"/>',
        "running": '<path class="bks-day-running" d="M0 26v-6l8-4v10zM0 16v-6l8-4v6z"/>',
        "none": '<rect class="bks-day-none" x="2" y="23" width="4" height="3" rx="1.5"/>',
    }[day.state]
    return mark_safe(drawn + PROVEN if day.proven else drawn)


def _words(day: Day) -> str:
    said = f"{date_format(day.day, 'DATE_FORMAT')}: {WORDS[day.state]}"
    return f"{said}, {gettext('proven by a drill')}" if day.proven else said


def _summary(days: Sequence[Day]) -> str:
    states = Counter(day.state for day in days)
    counts = [(states[name], word) for name, word in MARKS]
    counts.append((sum(day.proven for day in days), _("proven by a drill")))
    return ", ".join(f"{count} × {word}" for count, word in counts if count)
