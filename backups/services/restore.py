"""Restore a backup into a target Database: request, and run."""

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models import Q

from backups.models import Backup, Destination, Restore
from backups.selectors import identities_for, stored_copy, stored_places
from backups.services.chain import chain_of
from backups.services.source import KEY_HINT, open_chain, require_key
from databases.engines import registry
from databases.engines.base import RestoreRequest
from databases.engines.proof import Mask
from databases.models import Database
from databases.selectors import masking_of
from databases.services.build_engine import build_engine
from databases.services.consent import require_consent
from jobs.errors import BackupError
from jobs.fields import unseal
from jobs.lease import Lease
from jobs.models import OPEN, Status
from jobs.services.ring import ring
from jobs.services.sweep import WORKER_LOST
from notifications.models import Severity
from notifications.services.record import record_event


def request_restore(
    *,
    backup: Backup,
    target: Database,
    confirm: str,
    drop_existing: bool = False,
    include: Sequence[str] = (),
    delete_extra: bool = False,
    identity: str = "",
    destination: Destination | None = None,
    user: Any = None,
    consent: str = "",
) -> Restore:
    """Of the copy at `destination`, else of the nearest good one when the restore begins.

    Raises what `require_possible` raises, and needs_approval where a second person has to agree to what is lost.
    """
    require_possible(
        backup=backup, target=target, confirm=confirm, include=include, delete_extra=delete_extra, identity=identity
    )
    with transaction.atomic():
        backup = Backup.objects.select_for_update().get(pk=backup.pk)
        readable(backup=backup, identities=identities_for(identity))
        if drop_existing or delete_extra:
            what = f"Restoring {backup.pk} over what {target.name} ({target.pk}) holds"
            require_consent(consent=consent, what=what, subject_id=backup.pk, database_id=target.pk)
        restore = Restore.objects.create(
            backup=backup,
            backup_label=backup.pk,
            target=target,
            target_name=target.name,
            drop_existing=drop_existing,
            include=list(include),
            delete_extra=delete_extra,
            identity=identity or None,
            masking=masking_of(target),
            requested_by=user,
            destination=destination,
            queue=target.queue or stored_copy(backup, destination=destination).destination.queue,
        )
        ring(restore)
    return restore


def require_possible(
    *,
    backup: Backup,
    target: Database,
    confirm: str,
    include: Sequence[str] = (),
    delete_extra: bool = False,
    identity: str = "",
) -> None:
    """Raises BackupError: unconfirmed, wrong_state, engine_mismatch, unsupported, vanished, missing_key."""
    if confirm != target.pk:
        raise BackupError(
            "A restore writes into its target: repeat the target's id in 'confirm'.", code="unconfirmed", permanent=True
        )
    if target.engine != backup.engine:
        raise BackupError(
            f"A {backup.engine} backup cannot be restored into a {target.engine} Database.",
            code="engine_mismatch",
            permanent=True,
        )
    manifest = backup.manifest.get("engine", {})
    registry.engine_class(backup.engine).require_restorable(manifest, include=include, delete_extra=delete_extra)
    readable(backup=backup, identities=identities_for(identity))


def readable(*, backup: Backup, identities: Sequence[str], hint: str = KEY_HINT) -> None:
    """Raises BackupError: wrong_state, vanished, missing_key, when the backup's plain bytes cannot be had."""
    if backup.status != Status.COMPLETED:
        raise BackupError(
            f"{backup.pk} is {backup.status}: only a completed backup can be read.", code="wrong_state", permanent=True
        )
    chain = chain_of(backup)
    if chain[0].type == Backup.Type.INCREMENTAL:
        raise BackupError(
            f"{backup.pk} builds on a backup that is gone: what it holds is a part of the whole.",
            code="vanished",
            permanent=True,
            hint="Restore a backup whose chain is there, or read this artefact by hand.",
        )
    for part in chain:
        stored_copy(part)
        require_key(part, identities, hint)


def may_start(restore: Restore) -> bool:
    """Never beside a backup of the target or another restore into it."""
    busy = Backup.objects.filter(database=restore.target_id, status=Status.IN_PROGRESS).exists()
    other = Restore.objects.filter(target=restore.target_id).exclude(pk=restore.pk)
    earlier = Q(status=Status.PENDING, created_at__lt=restore.created_at)
    return not busy and not other.filter(Q(status=Status.IN_PROGRESS) | earlier).exists()


def run_restore(restore: Restore, lease: Lease) -> dict[str, Any]:
    """One attempt, the only one: what a failed restore has written is not known well enough to write again."""
    target = Database.objects.filter(pk=restore.target_id).first()
    if target is None or restore.backup is None:
        raise BackupError("The target or the backup was deleted.", code="database_deleted", permanent=True)
    backup = restore.backup
    engine = build_engine(database=target)
    identities = identities_for(unseal(restore.identity))
    request = RestoreRequest(
        guard=lease,
        drop_existing=restore.drop_existing,
        include=tuple(restore.include),
        delete_extra=restore.delete_extra,
        leave_out=stored_places(),
        masking=_masks(restore, target),
        note_uploads=lambda uploads: lease.own_rows.update(uploads=uploads),
    )
    chain = chain_of(backup)
    size = sum(part.original_size or 0 for part in chain)
    lease.phase("restore", estimate=size)
    lease.log(f"restoring {', '.join(part.pk for part in chain)} into {target.pk}")
    with open_chain(chain=chain, identities=identities, lease=lease, destination=restore.destination) as sources:
        report = engine.restore(sources, request)
    for note in report.notes:
        lease.log(note)
    for column, rows in report.masked.items():
        lease.log(f"masked {column}: {rows}")
    told = {"tool_version": report.tool_version, "counts": dict(report.counts), "notes": list(report.notes)}
    return {
        "report": {**told, "masked": dict(report.masked)} if restore.masking else told,
        "bytes_done": size,
        "bytes_total_estimate": size,
    }


def _masks(restore: Restore, target: Database) -> tuple[Mask, ...]:
    """Rules made since would not be followed, and those taken away since were promised to whoever asked."""
    if restore.masking != masking_of(target):
        raise BackupError(
            f"The masking rules of {target.name} were changed since this restore was asked for.",
            code="masking_changed",
            permanent=True,
            hint="Ask for it once more.",
        )
    return tuple(Mask(**rule) for rule in restore.masking)


def ended(restore: Restore) -> None:
    if restore.status in OPEN:
        return
    # A worker that ends by itself has ended its uploads: only of one that was killed they are left.
    left = restore.uploads if restore.error_code == WORKER_LOST.code or restore.status == Status.CANCELLED else {}
    Restore.objects.filter(pk=restore.pk).update(identity=None, uploads=left)
    done = restore.status == Status.COMPLETED
    record_event(
        kind="restore.finished",
        severity=Severity.INFO if done else Severity.ERROR,
        subject_id=restore.pk,
        database_id=restore.target_id or "",
        message=f"Restore of {restore.backup_label} into {restore.target_name}: {restore.status}. "
        f"{restore.error_message}".strip(),
        hint=restore.error_hint,
    )
