"""How entries of the audit are written in the admin."""

from django import template
from django.utils.safestring import SafeString

from audit.models import Entry
from jobs.templatetags.parts import state_badge

register = template.Library()

SHAPES = {
    Entry.Outcome.DONE: ("good", "check_circle"),
    Entry.Outcome.REFUSED: ("warn", "block"),
    Entry.Outcome.FAILED: ("bad", "error"),
}


@register.filter
def action_words(entry: Entry) -> str:
    """`database.back-up` as it is read: `database · back up`; the audit is English."""
    return entry.action.replace("_", " ").replace("-", " ").replace(".", " · ")


@register.filter
def outcome_badge(entry: Entry) -> SafeString:
    badge: SafeString = state_badge(*SHAPES[Entry.Outcome(entry.outcome)], entry.get_outcome_display())
    return badge
