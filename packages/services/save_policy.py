"""Change when packages are made and how long they are kept: everything is validated before anything is written."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from backups.models import Destination
from databases.schedule import INHERIT, schedule_fault, timezone_fault
from packages.models import PackagePolicy


def save_package_policy(*, values: Mapping[str, Any]) -> PackagePolicy:
    """`values` are fields of PackagePolicy; `destination` is an id, or None for the default one.

    Raises ValidationError with every fault at once by field.
    """
    with transaction.atomic():
        PackagePolicy.objects.get_or_create(pk=1)
        policy = PackagePolicy.objects.select_for_update().get(pk=1)
        before = (policy.schedule, policy.timezone)
        faults = _set(policy, values)
        if faults | _faults(policy):
            raise ValidationError(faults | _faults(policy))
        if before != (policy.schedule, policy.timezone):
            policy.scheduled_since = timezone.now()
        policy.save()
    return policy


def _set(policy: PackagePolicy, values: Mapping[str, Any]) -> dict[str, Any]:
    faults: dict[str, Any] = {}
    for name, value in values.items():
        if name == "destination":
            if value is not None and not Destination.objects.filter(pk=value).exists():
                faults[name] = [f"No Destination has the id {value!r}."]
            policy.destination_id = value
        else:
            setattr(policy, name, value)
    return faults


def _faults(policy: PackagePolicy) -> dict[str, Any]:
    faults: dict[str, Any] = {}
    try:
        policy.clean_fields(exclude=["destination"])
    except ValidationError as error:
        faults |= error.message_dict
    if policy.schedule == INHERIT:
        faults["schedule"] = ["Packages have a schedule of their own, or none (null)."]
    elif fault := schedule_fault(policy.schedule):
        faults["schedule"] = [fault]
    if fault := timezone_fault(policy.timezone):
        faults["timezone"] = [fault]
    return faults
