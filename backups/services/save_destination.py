"""Create and change a Destination: everything is validated before anything is written."""

import logging
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from backups.destinations import open_storage
from backups.models import Copy, DatabaseDestination, Destination
from backups.registry import other_objects
from backups.storage.keys import validate_key
from databases.models import RESERVED_IDS
from jobs.errors import BackupError
from jobs.fields import unseal

logger = logging.getLogger(__name__)

MOST_LOCK_DAYS = 36_500  # what S3 takes
PLACE = ("kind", "path", "bucket", "prefix", "endpoint_url")


def save_destination(
    *, destination: Destination, values: Mapping[str, Any], create: bool, prepare: bool = True
) -> Destination:
    """Sets `values` (fields, plus `secret_key`) and writes the row.

    `prepare` makes a new folder ready at once, and asks a bucket whether it can hold objects where they are to be held.

    Raises ValidationError by field; BackupError: id_taken; wrong_state when copies are stored where it was.
    """
    before = None if create else tuple(getattr(destination, name) for name in PLACE)
    lock_before = "" if create else destination.object_lock_mode
    _set(destination, values)
    if faults := _faults(destination):
        raise ValidationError(faults)
    if prepare and destination.object_lock_mode and destination.object_lock_mode != lock_before:
        _require_lock(destination)
    try:
        with transaction.atomic():
            if before and before != tuple(getattr(destination, name) for name in PLACE):
                _refuse_move(destination)
            if destination.is_default:
                Destination.objects.exclude(pk=destination.pk).filter(is_default=True).update(is_default=False)
            destination.save(force_insert=create)
        if create and prepare and destination.kind == Destination.Kind.LOCAL:
            _prepare(destination)
    except IntegrityError as error:
        if create and Destination.objects.filter(pk=destination.pk).exists():
            raise BackupError(
                f"A Destination with the id {destination.pk!r} exists.", code="id_taken", permanent=True
            ) from error
        raise BackupError("Another Destination was made the default meanwhile.", code="wrong_state") from error
    return destination


def _set(destination: Destination, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if name != "secret_key":
            setattr(destination, name, value)
    if "secret_key" in values:
        destination.secrets = {"secret_key": values["secret_key"]} if values["secret_key"] else {}
        destination.has_secret_key = bool(values["secret_key"])


def _refuse_move(destination: Destination) -> None:
    """A run that is about to write takes the same lock: it sees the new place, or we see its copy."""
    Destination.objects.select_for_update().get(pk=destination.pk)
    if destination.copies.exists() or other_objects(destination.pk):
        raise BackupError(
            f"Destination {destination.pk} holds artefacts: it cannot be moved.",
            code="wrong_state",
            permanent=True,
            hint="Add another Destination for the new place.",
        )


def delete_destination(*, destination: Destination) -> None:
    """Raises BackupError(code="wrong_state") while copies are there or a Database names it."""
    pk = destination.pk
    try:
        with transaction.atomic():
            Destination.objects.select_for_update().filter(pk=pk).first()  # a run that is about to write takes it too
            copies = Copy.objects.filter(destination=pk).count() + other_objects(pk)
            named_by = DatabaseDestination.objects.filter(destination=pk).values_list("database_id", flat=True)
            if copies or named_by:
                users = f"{copies} artefacts are stored there" if copies else f"named by {', '.join(named_by[:5])}"
                raise BackupError(f"Destination {pk} is in use: {users}.", code="wrong_state", permanent=True)
            destination.delete()
    except IntegrityError as error:
        raise BackupError(
            f"Destination {pk} has come into use just now.", code="wrong_state", permanent=True
        ) from error


def ensure_default_destination() -> Destination | None:
    """On a new site, a folder under the data folder; None when destinations exist already."""
    if Destination.objects.exists():
        return None
    values = {
        "id": "local",
        "name": "Local disk",
        "kind": Destination.Kind.LOCAL,
        "path": str(settings.DATA_DIR / "backups"),
        "is_default": True,
    }
    return save_destination(destination=Destination(), values=values, create=True)


def _prepare(destination: Destination) -> None:
    """Makes the folder at once where this host can; a check shows what is wrong where it cannot."""
    try:
        open_storage(destination).prepare()
    except BackupError as error:
        logger.warning("destination %s is not ready: %s", destination.pk, error)


def _require_lock(destination: Destination) -> None:
    """A bucket without Object Lock would take the backups and hold none of them."""
    try:
        open_storage(destination).require_lock()
    except BackupError as error:
        raise ValidationError({"object_lock_mode": [f"{error.message} {error.hint}".strip()]}) from error


def _lock_faults(destination: Destination) -> dict[str, Any]:
    mode, days = destination.object_lock_mode, destination.object_lock_days
    if mode and destination.kind != Destination.Kind.S3:
        return {"object_lock_mode": ["Only an S3 bucket can hold objects."]}
    if mode and not 0 < (days or 0) <= MOST_LOCK_DAYS:
        return {"object_lock_days": [f"Say for how many days objects are held: 1 to {MOST_LOCK_DAYS}."]}
    if days and not mode:
        return {"object_lock_mode": ["Say how objects are held for these days: GOVERNANCE or COMPLIANCE."]}
    return {}


def _faults(destination: Destination) -> dict[str, Any]:
    faults: dict[str, Any] = {}
    try:
        destination.clean_fields()
    except ValidationError as error:
        faults |= error.message_dict
    faults |= _lock_faults(destination)
    if destination.pk in RESERVED_IDS:
        faults["id"] = [f"{destination.pk!r} is a word of the API and cannot be an id."]
    if destination.kind == Destination.Kind.LOCAL:
        path = PurePosixPath(destination.path)
        if not path.is_absolute() or ".." in path.parts:
            faults["path"] = ["Give the absolute path of a folder, without '..'."]
    elif destination.kind == Destination.Kind.S3:
        if not destination.bucket:
            faults["bucket"] = ["An S3 destination needs a bucket."]
        if fault := _prefix_fault(destination.prefix):
            faults["prefix"] = [fault]
        if bool(destination.access_key) != bool(unseal(destination.secrets).get("secret_key")):
            faults["secret_key"] = ["Give both access_key and secret_key, or neither to use the host's own role."]
    return faults


def _prefix_fault(prefix: str) -> str:
    try:
        if prefix.strip("/"):
            validate_key(prefix.strip("/"))
    except BackupError as error:
        return error.message
    return ""
