"""Change the policy of exports."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from backups.models import Destination
from exports.models import ExportPolicy


def save_export_policy(*, values: Mapping[str, Any]) -> ExportPolicy:
    """Raises ValidationError with every fault at once by field."""
    with transaction.atomic():
        policy, _ = ExportPolicy.objects.select_for_update().get_or_create(pk=1)
        for name, value in values.items():
            setattr(policy, name, value)
        if policy.destination_id and not Destination.objects.filter(pk=policy.destination_id).exists():
            raise ValidationError({"destination": [f"There is no destination {policy.destination_id!r}."]})
        policy.full_clean()
        policy.save()
    return policy
