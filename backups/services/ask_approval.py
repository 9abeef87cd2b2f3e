"""Ask for something that a second person has to agree to. What is asked is frozen: nobody changes it afterwards."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from backups.models import Approval, Backup, Destination
from backups.services.prune import require_deletable
from backups.services.restore import require_possible
from databases.models import Database
from databases.selectors import address_of, masking_of
from jobs.errors import BackupError
from jobs.fields import unseal
from notifications.services.record import record_event

NAMED = 20


def ask_to_restore(
    *,
    backup: Backup,
    target: Database,
    user: Any,
    confirm: str,
    include: Sequence[str] = (),
    drop_existing: bool = False,
    delete_extra: bool = False,
    identity: str = "",
    destination: Destination | None = None,
) -> Approval:
    """The values are those of `request_restore`. Raises what that raises, and as `_ask` does."""
    require_possible(
        backup=backup, target=target, confirm=confirm, include=include, delete_extra=delete_extra, identity=identity
    )
    values = {"include": list(include), "drop_existing": drop_existing, "delete_extra": delete_extra}
    values |= {"identity": identity, "destination_id": destination.pk if destination else None}
    does = [text for does, text in ((drop_existing, "emptied first"), (delete_extra, "cleared of all else")) if does]
    masked = f" {len(rules)} masking rules apply." if (rules := masking_of(target)) else " Nothing is masked."
    only = f" Only {', '.join(include[:NAMED])}{', ...' if len(include) > NAMED else ''}." if include else ""
    return _ask(
        action=Approval.Action.RESTORE,
        subject_id=backup.pk,
        target_id=target.pk,
        parameters={**values, "fingerprint": fingerprint_of(target)},
        summary=f"Restore {backup.pk} of {backup.database_name}, made {backup.created_at:%Y-%m-%d %H:%M} UTC, into "
        f"{target.name} ({target.pk}, {address_of(target)}), which is {' and '.join(does)}.{only}{masked}",
        user=user,
    )


def ask_to_delete_backup(*, backup: Backup, user: Any) -> Approval:
    """Raises BackupError(code="wrong_state") for one that cannot be deleted, and as `_ask` does."""
    require_deletable(backup)
    return _ask(
        action=Approval.Action.DELETE_BACKUP,
        subject_id=backup.pk,
        parameters={},
        summary=f"Delete {backup.pk} of {backup.database_name}, made {backup.created_at:%Y-%m-%d %H:%M} UTC, "
        f"{backup.size or 0} bytes, with every copy of it.",
        user=user,
    )


def ask_to_delete_database(*, database: Database, user: Any) -> Approval:
    count = Backup.objects.filter(database=database.pk).count()
    return _ask(
        action=Approval.Action.DELETE_DATABASE,
        subject_id=database.pk,
        parameters={},
        summary=f"Delete the Database {database.name} ({database.pk}, {address_of(database)}): it is no longer backed "
        f"up. Its {count} backups stay.",
        user=user,
    )


def fingerprint_of(target: Database) -> str:
    """What the second person agreed to overwrite, and how it is masked. A secret may say where that is (MongoDB's
    `uri`); the approval keeps the digest sealed.
    """
    names = ("engine", "host", "port", "username", "database_name", "options")
    facts = {name: getattr(target, name) for name in names} | {"masking": masking_of(target)}
    facts["secrets"] = unseal(target.secrets)
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _ask(
    *, action: str, subject_id: str, parameters: Mapping[str, Any], summary: str, user: Any, target_id: str = ""
) -> Approval:
    """Raises BackupError: needs_person without an account to ask in, wrong_state where the same waits already."""
    if user is None:
        raise BackupError(
            "A second person has to agree to this, so it has to be known who the first one is.",
            code="needs_person",
            permanent=True,
            hint="Use an account, or an API key that belongs to one.",
        )
    waiting = Approval.objects.filter(state=Approval.State.WAITING, expires_at__gt=timezone.now())
    same = waiting.filter(action=action, subject_id=subject_id, target_id=target_id).first()
    if same is not None:
        raise BackupError(
            f"{same.pk} asks for this already and waits for a second person.",
            code="wrong_state",
            permanent=True,
            hint="Withdraw it to ask for something else.",
        )
    approval = Approval.objects.create(
        action=action,
        subject_id=subject_id,
        target_id=target_id,
        parameters=dict(parameters),  # type: ignore[misc]  # sealed by the field
        summary=summary,
        requested_by=user,
        requested_by_name=user.get_username(),
        expires_at=timezone.now() + timedelta(hours=settings.BACKUPSITE_APPROVAL_HOURS),
    )
    record_event(
        kind="security.approval_requested",
        subject_id=approval.pk,
        message=f"{user.get_username()} asks a second person to agree: {summary}",
        hint=f"Approve or refuse it until {approval.expires_at:%Y-%m-%d %H:%M} UTC.",
    )
    return approval
