"""Ask for an export: validate, write the row, ring a worker."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from backups.pipeline.keys import valid_recipient
from exports.models import Export, ExportPolicy
from exports.selectors import (
    enabled_sources,
    export_destination,
    export_policy,
    kept_bytes,
    open_exports,
)
from exports.services.build_source import build_source
from jobs.errors import BackupError
from jobs.models import Status
from jobs.services.ring import ring

AHEAD = timedelta(days=30)
MOST_RECIPIENTS = 5


def request_export(
    *,
    pubkey: str,
    type: str,
    scheduled_at: datetime | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Export:
    """`metadata` is kept as given; of it `select` (collections) and `recipient` (public keys) mean something.

    Raises ValidationError with every fault at once; BackupError: exports_disabled, no_sources, no_destination,
    too_many_open, quota_full.
    """
    given = dict(metadata or {})
    policy = export_policy()
    _require_offered(policy)
    select, recipients = _texts(given, "select"), _texts(given, "recipient")
    faults = _faults_of_time(scheduled_at) | _faults_of_selection(type, select) | _faults_of_recipients(recipients)
    if faults:
        raise ValidationError(faults)
    destination = export_destination(policy)
    with transaction.atomic():
        ExportPolicy.objects.select_for_update().get_or_create(pk=1)  # nobody else counts meanwhile
        _require_within(policy, pubkey)
        export = Export.objects.create(
            pubkey=pubkey,
            type=type,
            select=select,
            recipients=recipients,
            metadata=given,
            status=Status.SCHEDULED if scheduled_at else Status.PENDING,
            scheduled_at=scheduled_at,
            max_attempts=settings.BACKUPSITE_MAX_ATTEMPTS,
            queue=destination.queue,
        )
        if export.status == Status.PENDING:
            ring(export)
    return export


def _require_offered(policy: ExportPolicy) -> None:
    if not policy.enabled:
        raise BackupError("Exports are switched off here.", code="exports_disabled", permanent=True)
    if not enabled_sources().exists():
        raise BackupError(
            "There is nothing to export here yet.",
            code="no_sources",
            permanent=True,
            hint="The operator has not said where the data of users is.",
        )


def _require_within(policy: ExportPolicy, pubkey: str) -> None:
    if open_exports(pubkey) >= policy.max_open:
        raise BackupError(
            f"{policy.max_open} of your exports wait or run already.",
            code="too_many_open",
            permanent=True,
            hint="Wait for one to end, or cancel it.",
        )
    if policy.max_bytes and kept_bytes(pubkey) >= policy.max_bytes:
        raise BackupError(
            "Your exports take all the room there is for you.",
            code="quota_full",
            permanent=True,
            hint="Fetch and delete an older one, or wait until it expires.",
        )


def _texts(metadata: Mapping[str, Any], name: str) -> list[str]:
    """A text, a number (a kind of event), or a list of them. Raises ValidationError."""
    value = metadata.get(name)
    items: Sequence[Any] = value if isinstance(value, list) else [] if value is None else [value]
    if any(isinstance(item, bool) or not isinstance(item, str | int) for item in items):
        raise ValidationError({f"metadata.{name}": ["A text, or a list of texts, is wanted."]})
    return list(dict.fromkeys(str(item) for item in items))


def _faults_of_time(scheduled_at: datetime | None) -> dict[str, list[str]]:
    if scheduled_at is None:
        return {}
    now = timezone.now()
    if scheduled_at <= now:
        return {"scheduledAt": ["This time has passed."]}
    if scheduled_at > now + AHEAD:
        return {"scheduledAt": [f"At most {AHEAD.days} days ahead."]}
    return {}


def _faults_of_selection(type: str, select: Sequence[str]) -> dict[str, list[str]]:
    if type != Export.Type.SELECTIVE:
        return {"metadata.select": ["Only a selective export chooses collections."]} if select else {}
    if not select:
        return {"metadata.select": ["Say which collections."]}
    sources = [build_source(source=row) for row in enabled_sources()]
    known = dict.fromkeys(name for source in sources for name in source.collections)
    unknown = [name for name in select if not any(source.chosen([name]) for source in sources)]
    if unknown:
        return {"metadata.select": [f"There is no collection {unknown[0]!r}; there are {', '.join(known)}."]}
    return {}


def _faults_of_recipients(recipients: Sequence[str]) -> dict[str, list[str]]:
    if len(recipients) > MOST_RECIPIENTS:
        return {"metadata.recipient": [f"At most {MOST_RECIPIENTS}."]}
    if any(not valid_recipient(one) for one in recipients):  # not repeated: it may be a secret key by mistake
        return {"metadata.recipient": ["An age public key (age1...) or an SSH public key is wanted."]}
    return {}
