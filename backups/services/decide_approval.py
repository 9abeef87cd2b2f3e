"""Approve, refuse, withdraw or expire what waits for a second person; each is decided once.

An approved action is done in the transaction of its decision, by the service that does it for anybody, with the checks
of that moment: of two people who approve at once the second finds it decided.
"""

from collections.abc import Callable, Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from backups.models import Approval, Backup, Destination
from backups.services.ask_approval import fingerprint_of
from backups.services.prune import begin_deletion
from backups.services.restore import request_restore
from databases.models import Database
from databases.services.delete import delete_database
from jobs.errors import BackupError
from jobs.fields import unseal
from jobs.roles import Role, role_of
from notifications.services.record import record_event

NEEDED = {
    Approval.Action.RESTORE.value: Role.OPERATOR,
    Approval.Action.DELETE_BACKUP.value: Role.ADMIN,
    Approval.Action.DELETE_DATABASE.value: Role.ADMIN,
}
AT_ONCE = 100


def approve(*, approval: Approval, user: Any, note: str = "") -> Approval:
    """Does what was asked for. What cannot be done any more ends as `failed`, with the reason in `outcome`.

    Raises BackupError: wrong_state when it was decided already or has expired, not_second for whoever asked, or has a
    lesser role than they.
    """
    with transaction.atomic():
        row = _waiting(approval)
        _require_second(row, user)
        try:
            with transaction.atomic():
                outcome = _do(row)
            state = Approval.State.APPROVED
        except BackupError as error:
            state, outcome = Approval.State.FAILED, str(error)
        return _decide(row, state, user=user, note=note, outcome=outcome)


def refuse(*, approval: Approval, user: Any, note: str = "") -> Approval:
    """Raises as `approve` does."""
    with transaction.atomic():
        row = _waiting(approval)
        _require_second(row, user)
        return _decide(row, Approval.State.REFUSED, user=user, note=note)


def withdraw(*, approval: Approval, user: Any, note: str = "") -> Approval:
    """Raises BackupError: wrong_state, not_first for anybody but who asked."""
    with transaction.atomic():
        row = _waiting(approval)
        if user is None or user.pk != row.requested_by_id:
            raise BackupError("Only who asked for it can take it back.", code="not_first", permanent=True)
        return _decide(row, Approval.State.WITHDRAWN, user=user, note=note)


def expire_approvals() -> int:
    """The sweeper's step. Returns how many have expired."""
    due = Approval.objects.filter(state=Approval.State.WAITING, expires_at__lte=timezone.now())
    expired = 0
    for pk in list(due.values_list("pk", flat=True)[:AT_ONCE]):
        with transaction.atomic():
            row = Approval.objects.select_for_update().get(pk=pk)
            if row.state == Approval.State.WAITING:
                _decide(row, Approval.State.EXPIRED)
                expired += 1
    return expired


def _waiting(approval: Approval) -> Approval:
    row = Approval.objects.select_for_update().get(pk=approval.pk)
    if row.state != Approval.State.WAITING:
        raise BackupError(f"{row.pk} is {row.state} already.", code="wrong_state", permanent=True)
    if row.expires_at <= timezone.now():
        raise BackupError(f"{row.pk} has expired.", code="wrong_state", permanent=True, hint="Ask for it once more.")
    return row


def _require_second(row: Approval, user: Any) -> None:
    """Somebody else, who may do this, and who is no less than who asked."""
    if user is None or user.pk == row.requested_by_id:
        raise BackupError("Somebody other than who asked has to decide.", code="not_second", permanent=True)
    asked = role_of(row.requested_by) if row.requested_by else Role.NONE
    if role_of(user) < max(NEEDED[row.action], asked):
        raise BackupError(
            "Your role is less than this asks for, or than that of who asked.", code="not_second", permanent=True
        )


def _do(row: Approval) -> str:
    if row.requested_by is None or role_of(row.requested_by) < NEEDED[row.action]:
        raise BackupError("Who asked for it may no longer do this.", code="not_first", permanent=True)
    actions: dict[str, Callable[[Approval, Mapping[str, Any]], str]] = {
        Approval.Action.RESTORE.value: _restore,
        Approval.Action.DELETE_BACKUP.value: _delete_backup,
        Approval.Action.DELETE_DATABASE.value: _delete_database,
    }
    return actions[row.action](row, unseal(row.parameters))


def _restore(row: Approval, parameters: Mapping[str, Any]) -> str:
    backup, target = _found(Backup, row.subject_id), _found(Database, row.target_id)
    values = dict(parameters)
    if values.pop("fingerprint") != fingerprint_of(target):
        raise BackupError(
            f"{target.name} is another server or is masked otherwise than when this was asked for.",
            code="wrong_state",
            permanent=True,
            hint="Ask for it once more.",
        )
    at = values.pop("destination_id")
    values["destination"] = _found(Destination, at) if at else None
    asked = {**values, "confirm": target.pk, "user": row.requested_by, "consent": row.pk}
    return request_restore(backup=backup, target=target, **asked).pk


def _delete_backup(row: Approval, parameters: Mapping[str, Any]) -> str:
    backup = _found(Backup, row.subject_id)
    begin_deletion(backup=backup, consent=row.pk)  # the sweeper takes its objects
    return row.subject_id


def _delete_database(row: Approval, parameters: Mapping[str, Any]) -> str:
    delete_database(database=_found(Database, row.subject_id), consent=row.pk)
    return row.subject_id


def _found(model: Any, pk: str) -> Any:
    row = model.objects.filter(pk=pk).first()
    if row is None:
        raise BackupError(f"{pk} is gone.", code="vanished", permanent=True)
    return row


def _decide(row: Approval, state: Approval.State, *, user: Any = None, note: str = "", outcome: str = "") -> Approval:
    """What was to be done, the identity in it too, is erased with every decision."""
    row.state, row.note, row.outcome, row.parameters = state, note, outcome, None
    row.decided_by, row.decided_at = user, timezone.now()
    row.decided_by_name = user.get_username() if user else ""
    row.save()
    said = f" ({note})" if note else ""
    failed = f" It could not be done: {outcome}" if state == Approval.State.FAILED else ""
    who = row.decided_by_name or "Nobody in time"
    record_event(
        kind=f"security.approval_{state}",
        subject_id=row.pk,
        message=f"{who}: {state}{said}. {row.requested_by_name} had asked: {row.summary}{failed}",
    )
    return row
