"""The recovery kit: one text with every key, every destination's address and login, and the way back."""

import os
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.template.loader import render_to_string
from django.utils import timezone

from backups.models import Backup, Copy, Destination, KitDownload
from backups.services.protect_self import SELF_ID
from backups.services.recovery_script import (
    ca_name,
    config_name,
    curl_config,
    fetch_script,
    login,
    login_name,
    script_name,
)
from jobs.fields import unseal
from jobs.models import Status
from notifications.models import Severity
from notifications.services.record import record_event

VARIABLES = ("BACKUPSITE_", "DATABASE_URL", "BROKER_URL")  # named in the kit, without what is in them
ADDRESS = ("pk", "name", "kind", "path", "bucket", "prefix", "endpoint_url", "region", "addressing", "access_key", "ca")


def fingerprint(destinations: Iterable[Destination] | None = None) -> str:
    """Of all that a kit has to hold: another key, or another address or login of a destination, makes it stale.

    `destinations` are all there are, for who has read them already.
    """
    parts = [*_keys().values(), *settings.BACKUPSITE_AGE_RECIPIENTS]
    every = Destination.objects.all() if destinations is None else destinations
    for destination in sorted(every, key=lambda one: one.pk):
        parts += [str(getattr(destination, name)) for name in ADDRESS if name != "name"]
        parts.append(unseal(destination.secrets).get("secret_key", ""))
    return sha256("\0".join(parts).encode()).hexdigest()


def kit_is_taken() -> bool:
    """Whether somebody took a kit with the keys as they are now. Raises BackupError when a secret does not open."""
    return kits_taken().exists()


def kits_taken(destinations: Iterable[Destination] | None = None) -> QuerySet[KitDownload]:
    """Of the keys as they are now. Raises BackupError when a secret does not open."""
    return KitDownload.objects.filter(fingerprint=fingerprint(destinations))


def take_kit(*, user: Any = None, by_name: str) -> str:
    """The kit's text. That it was taken, and by whom, is recorded and told."""
    with transaction.atomic():
        current = fingerprint()
        text = _text(current, by_name)
        KitDownload.objects.create(fingerprint=current, by=user, by_name=by_name)
        record_event(
            kind="kit.downloaded",
            severity=Severity.WARNING,
            subject_id=current[:12],
            message=f"{by_name} took the recovery kit: whoever holds it opens every backup and every stored secret.",
            hint="If that was not meant, change the keys (manage.py rotate_keys, a new age key) and the logins of the "
            "destinations.",
        )
    return text


def _text(current: str, by_name: str) -> str:
    destinations = list(Destination.objects.order_by("-is_default", "pk"))
    context = {
        "made_at": timezone.now(),
        "by_name": by_name,
        "url": settings.BACKUPSITE_PUBLIC_URL,
        "fingerprint": current,
        "files": _files(destinations),
        "destinations": destinations,
        "scripts": [script_name(one) for one in destinations],
        "newest": _newest(),
        "keyless": not settings.BACKUPSITE_AGE_IDENTITIES,
        "recipients": settings.BACKUPSITE_AGE_RECIPIENTS,
        "own": SELF_ID,
        "own_is_off": not settings.BACKUPSITE_SELF_BACKUP,
        "variables": sorted(name for name in os.environ if name.startswith(VARIABLES)),
    }
    return render_to_string("backups/recovery_kit.txt", context)


def _newest() -> Copy | None:
    """Where the newest backup of the site itself lies, as far as is known now."""
    newest = Backup.objects.filter(database=SELF_ID, status=Status.COMPLETED).order_by("-created_at").first()
    stored = newest.copies.filter(state=Copy.State.STORED) if newest else Copy.objects.none()
    return stored.select_related("destination", "backup").order_by("pk").first()


def _keys() -> dict[str, str]:
    """Files of `<data>/keys`, as the site reads them."""
    keys = {
        "secret_key": settings.SECRET_KEY,
        "jwt_key": str(settings.SIMPLE_JWT["SIGNING_KEY"]),
        "encryption_keys": "\n".join(settings.BACKUPSITE_ENCRYPTION_KEYS),
        "report_key": settings.BACKUPSITE_REPORT_KEY,
        "age_identity": "\n".join(settings.BACKUPSITE_AGE_IDENTITIES),
    }
    return {name: text for name, text in keys.items() if text}


def _files(destinations: list[Destination]) -> list[tuple[str, str]]:
    files = [(f"data/keys/{name}", text) for name, text in _keys().items()]
    files.append(("data/keys/age_recipients", "\n".join(settings.BACKUPSITE_AGE_RECIPIENTS)))
    for destination in destinations:
        files.append((script_name(destination), fetch_script(destination)))
        if destination.kind == Destination.Kind.S3:
            files.append((config_name(destination), curl_config(destination)))
            files.append((login_name(destination), login(destination)))
            if destination.ca:
                files.append((ca_name(destination), destination.ca))
    return [(name, text.strip("\n")) for name, text in files]
