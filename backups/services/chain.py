"""Chains: one full backup and the incrementals that build on it."""

from collections.abc import Sequence

from django.db import transaction

from backups.models import Backup, Copy
from backups.services.index import require_index, require_index_key
from databases.engines.base import Engine
from jobs.errors import BackupError
from jobs.lease import Lease
from jobs.models import Status

# What an index says that is gone or damaged; anything else is a destination that does not answer now.
UNREADABLE = frozenset(
    {"missing_key", "wrong_key", "artefact_truncated", "artefact_corrupt", "object_missing", "no_index"}
)


def chain_of(backup: Backup) -> list[Backup]:
    """The backup and all it builds on, oldest first: what a restore has to read."""
    chain = [backup]
    while chain[0].parent is not None:
        chain.insert(0, chain[0].parent)
    return chain


def hold_parent(*, backup: Backup, engine: Engine, recipients: Sequence[str], lease: Lease) -> None:
    """Sets what this run of an incremental builds on; the row holds that backup against deletion from now on.

    `recipients` are whom it will be encrypted to. Where there is nothing to build on the run becomes a full backup,
    and its log says why. Raises BackupError when the parent's destination does not answer.
    """
    if backup.type != Backup.Type.INCREMENTAL:
        return
    parent, reason = _held(backup, engine, recipients, lease)
    if parent is not None:
        reason = _index_fault(parent, engine)
    if reason:
        backup.type, backup.parent = Backup.Type.FULL, None
        lease.own_rows.update(type=backup.type, parent=None)
        lease.log(f"making a full backup instead of an incremental: {reason}")
        return
    backup.parent = parent
    lease.log(f"building on {backup.parent_id}")


def _held(backup: Backup, engine: Engine, recipients: Sequence[str], lease: Lease) -> tuple[Backup | None, str]:
    """The parent, or why there is none. Nobody can delete it between the look at it and the hold."""
    with transaction.atomic():
        earlier = Backup.objects.filter(database=backup.database_id, status=Status.COMPLETED)
        newest = earlier.exclude(type=Backup.Type.SELECTIVE).select_for_update().order_by("-created_at", "-pk").first()
        if newest is None:
            return None, "there is none to build on"
        chain = chain_of(newest)
        if reason := _unfit(chain, engine, recipients):
            return None, reason
        lease.own_rows.update(parent=newest)
    return newest, ""


def _unfit(chain: Sequence[Backup], engine: Engine, recipients: Sequence[str]) -> str:
    newest = chain[-1]
    if not engine.continues(newest.manifest.get("engine", {})):
        return f"what is backed up was changed since {newest.pk}"
    if set(newest.manifest.get("artefact", {}).get("recipients", ())) != set(recipients):
        return f"the keys were changed since {newest.pk}, and one key has to open the whole chain"
    if len(chain) > engine.full_every:
        return f"the chain holds {len(chain) - 1} incrementals, and a full one follows after {engine.full_every}"
    stored = Copy.objects.filter(backup__in=chain, state=Copy.State.STORED).values("backup").distinct().count()
    return "" if stored == len(chain) else f"{newest.pk} or what it builds on has no sound copy"


def _index_fault(parent: Backup, engine: Engine) -> str:
    try:
        require_index_key(parent)
        require_index(parent, needed=engine.needs_index)
    except BackupError as error:
        if error.code not in UNREADABLE:
            raise
        return f"the index of {parent.pk} cannot be read: {error.message}"
    return ""
