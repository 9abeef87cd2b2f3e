"""Change what Databases inherit: everything is validated before anything is written."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from databases.blackouts import blackouts_fault
from databases.models import Database, Policy
from databases.schedule import INHERIT, schedule_fault
from databases.services.beat import keep_in_step


def save_policy(*, values: Mapping[str, Any]) -> Policy:
    """`values` are fields of Policy. Raises ValidationError with every fault at once by field.

    A changed schedule invents no past: Databases that inherit it are next due after this moment.
    """
    with transaction.atomic():
        Policy.objects.get_or_create(pk=1)
        policy = Policy.objects.select_for_update().get(pk=1)
        before = policy.schedule
        for name, value in values.items():
            setattr(policy, name, value)
        if faults := _faults(policy):
            raise ValidationError(faults)
        policy.save()
        if policy.schedule != before:
            Database.objects.filter(schedule=INHERIT).update(scheduled_since=timezone.now())
            keep_in_step()
    return policy


def _faults(policy: Policy) -> dict[str, Any]:
    faults: dict[str, Any] = {}
    try:
        policy.clean_fields()
    except ValidationError as error:
        faults |= error.message_dict
    if policy.schedule == INHERIT:
        faults["schedule"] = ["The policy has a schedule of its own, or none (null)."]
    elif fault := schedule_fault(policy.schedule):
        faults["schedule"] = [fault]
    if fault := blackouts_fault(policy.blackouts):
        faults["blackouts"] = [fault]
    return faults
