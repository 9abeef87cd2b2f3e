"""Mute for a time, and end a mute early."""

from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone

from notifications.models import Mute
from notifications.services.save_rule import kinds_fault

LONGEST = timedelta(days=366)


def mute(
    *,
    scope: str,
    until: datetime,
    database_id: str = "",
    kinds: list[str] | None = None,
    reason: str = "",
    user: Any = None,
) -> Mute:
    """From now on, until then. What was recorded before is still told. Raises ValidationError by field."""
    row = Mute(scope=scope, until=until, database_id=database_id, kinds=kinds or [], reason=reason, created_by=user)
    faults: dict[str, Any] = {}
    try:
        row.clean_fields(exclude=["created_by"])
    except ValidationError as error:
        faults |= error.message_dict
    now = timezone.now()
    if not now < until <= now + LONGEST:
        faults["until"] = ["Give a time to come, within a year."]
    if (scope == Mute.Scope.DATABASE) != bool(database_id):
        faults["database_id"] = ["Name the Database, and only for the scope database."]
    if (scope == Mute.Scope.KIND) != bool(row.kinds):
        faults["kinds"] = ["Name the kinds, and only for the scope kind."]
    elif row.kinds and (fault := kinds_fault(row.kinds)):
        faults["kinds"] = [fault]
    if faults:
        raise ValidationError(faults)
    row.save(force_insert=True)
    return row


def unmute(*, mute: Mute) -> None:
    """Events from now on are told again. The row stays as history."""
    Mute.objects.filter(pk=mute.pk, until__gt=timezone.now()).update(until=timezone.now())
