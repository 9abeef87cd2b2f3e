"""Create, change and delete a rule."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError

from notifications.kinds import unknown_patterns
from notifications.models import Rule

MOST_GROUP_S = 24 * 3600


def save_rule(*, rule: Rule, values: Mapping[str, Any], create: bool) -> Rule:
    """Raises ValidationError by field."""
    for name, value in values.items():
        setattr(rule, name, value)
    faults: dict[str, Any] = {}
    try:
        rule.clean_fields()
    except ValidationError as error:
        faults |= error.message_dict
    if fault := kinds_fault(rule.kinds):
        faults["kinds"] = [fault]
    if "group_s" not in faults and rule.group_s > MOST_GROUP_S:
        faults["group_s"] = ["At most a day (86400)."]
    if faults:
        raise ValidationError(faults)
    rule.save(force_insert=create)
    return rule


def delete_rule(*, rule: Rule) -> None:
    """What it has put into the outbox is still sent."""
    rule.delete()


def kinds_fault(kinds: Any) -> str:
    if not kinds or not isinstance(kinds, list):
        return "Give at least one kind, or * for all."
    unknown = unknown_patterns(kinds)
    return f"No event is of the kind {', '.join(unknown)[:200]}." if unknown else ""
