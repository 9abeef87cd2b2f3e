"""How runs and what they found are written beside those before them."""

from typing import Any

from django import template
from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext as _

from jobs.templatetags.backupsite import size, span

register = template.Library()

MINUS = "\u2212"  # as wide as a plus sign


@register.filter
def signed(number: int | None) -> str:
    """`+1,200`, `\u22123`; a dash where there is nothing to tell."""
    if number is None:
        return "–"
    if number == 0:
        return "0"
    return f"{'+' if number > 0 else MINUS}{intcomma(abs(number))}"


@register.filter
def versus(figure: Any, unit: str = "") -> str:
    """What a figure was, and by how much of that it changed: `was 3.4 MiB, +12 %`."""
    if figure.before is None:
        return ""
    was = {"size": size, "span": span}.get(unit, intcomma)(figure.before)
    if figure.now == figure.before:
        return _("as before")
    if figure.percent is None:
        return _("was %(was)s") % {"was": was}
    return _("was %(was)s, %(change)s") % {"was": was, "change": _percent(figure.percent)}


def _percent(percent: float) -> str:
    if abs(percent) < 0.1:
        return "±0 %"
    sign = "+" if percent > 0 else MINUS
    amount = abs(percent)
    return f"{sign}{amount:.1f} %" if amount < 10 else f"{sign}{intcomma(round(amount))} %"
