"""Make and revoke the named keys of programs."""

from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from backupsite.api.models import ApiKey
from notifications.services.record import record_event


def create_api_key(*, name: str, role: str, expires_at: datetime | None = None, user: Any = None) -> tuple[ApiKey, str]:
    """The key's row and the key itself, which is shown once and never again. Raises ValidationError by field."""
    if expires_at is not None and expires_at <= timezone.now():
        raise ValidationError({"expires_at": ["This time is past."]})
    secret = ApiKey.make_secret()
    key = ApiKey(name=name, role=role, expires_at=expires_at, created_by=user, digest=ApiKey.digest_of(secret))
    key.clean_fields(exclude=["created_by"])
    with transaction.atomic():
        key.save(force_insert=True)
        record_event(
            kind="security.key_created",
            subject_id=key.pk,
            message=f"The API key {name} with the role {role} was made by {user or 'a command or another key'}.",
        )
    return key, secret


def revoke_api_key(*, key: ApiKey) -> None:
    """The row stays, so that what the key did can still be told. Revoking twice changes nothing."""
    with transaction.atomic():
        if ApiKey.objects.filter(pk=key.pk, revoked_at__isnull=True).update(revoked_at=timezone.now()):
            record_event(kind="security.key_revoked", subject_id=key.pk, message=f"The API key {key.name} was revoked.")
