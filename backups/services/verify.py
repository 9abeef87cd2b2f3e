"""Verify a backup: read every copy again to its end and compare sizes, digests and structure."""

from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from backups.destinations import open_storage
from backups.models import Backup, Copy, Destination, Verification
from backups.pipeline.reader import read_digests
from backups.selectors import identities_for
from backups.services.index import require_index
from backups.services.quarantine import DAMAGED, quarantine
from backups.services.source import digests_of, open_plain
from databases.engines import registry
from databases.engines.base import Connection, Engine
from jobs.errors import BackupError
from jobs.fields import unseal
from jobs.lease import Lease
from jobs.models import OPEN, Status
from jobs.services.ring import ring


def request_verification(
    *,
    backup: Backup,
    identity: str = "",
    destination: Destination | None = None,
    user: Any = None,
    trigger: str = Verification.Trigger.MANUAL,
) -> Verification:
    """Of the copy at `destination`, else of every copy.

    Raises BackupError(code="wrong_state") unless the backup is completed; a scheduled one also while another is open:
    the sweeper and the end of each ask for the next.
    """
    with transaction.atomic():
        backup = Backup.objects.select_for_update().get(pk=backup.pk)
        if backup.status != Status.COMPLETED:
            raise BackupError(
                f"{backup.pk} is {backup.status}: only a completed backup can be verified.",
                code="wrong_state",
                permanent=True,
            )
        if trigger == Verification.Trigger.SCHEDULE and backup.verifications.filter(status__in=OPEN).exists():
            raise BackupError(f"{backup.pk} is being verified already.", code="wrong_state", permanent=True)
        copies = backup.copies.select_related("destination").order_by("pk")
        copy = (copies.filter(destination=destination) if destination else copies).first()
        verification = Verification.objects.create(
            backup=backup,
            backup_label=backup.pk,
            destination=destination,
            trigger=trigger,
            identity=identity or None,
            requested_by=user,
            queue=copy.destination.queue if copy else "",
            max_attempts=settings.BACKUPSITE_MAX_ATTEMPTS,
        )
        ring(verification)
    return verification


def may_start(verification: Verification) -> bool:
    return True


def run_verification(verification: Verification, lease: Lease) -> dict[str, Any]:
    """Raises the first fault found, after every copy was read; a damaged copy is quarantined, never deleted."""
    backup = verification.backup
    if backup is None or backup.status != Status.COMPLETED:
        raise BackupError("The backup is gone.", code="wrong_state", permanent=True)
    scheduled = verification.trigger == Verification.Trigger.SCHEDULE
    # What is in quarantine is read for somebody who asks: a round would find it damaged again and again.
    states = [Copy.State.STORED] if scheduled else [Copy.State.STORED, Copy.State.QUARANTINED]
    readable = backup.copies.filter(state__in=states).order_by("pk")
    place = verification.destination
    copies = list(readable.filter(destination=place) if place else readable)
    if not copies:
        raise BackupError(
            f"{backup.pk} has no copy{f' at {place.pk}' if place else ''}.", code="vanished", permanent=True
        )
    identities = identities_for(unseal(verification.identity))
    faults: list[BackupError] = []
    report = []
    for copy in copies:
        try:
            read = _read_scheduled if scheduled else _read
            facts = {**read(backup, copy, identities, lease), **_index(backup, copy, lease)}
            _note_whole(copy, facts["checked"])
            report.append({"destination": copy.destination_id, "ok": True, **facts})
        except BackupError as error:
            quarantine(copy=copy, backup=backup, error=error)
            error.permanent = error.permanent or error.code in DAMAGED  # what is damaged stays so
            faults.append(error)
            report.append({"destination": copy.destination_id, "ok": False, "code": error.code, "message": str(error)})
    lease.own_rows.update(report={"copies": report})
    if faults:
        raise faults[0]
    Backup.objects.filter(pk=backup.pk).update(verified_at=timezone.now())
    return {"bytes_done": backup.size, "bytes_total_estimate": backup.size}


def _read(backup: Backup, copy: Copy, identities: tuple[str, ...], lease: Lease) -> dict[str, Any]:
    if backup.encryption == "age" and not identities:
        return _read_stored(backup, copy, lease)
    lease.phase("verify", estimate=backup.original_size)
    with open_plain(backup=backup, copy=copy, identities=identities, lease=lease) as source:
        facts = _engine(backup).verify_structure(source, lease)
    lease.log(f"{copy.key}: sizes, digests and structure agree")
    return {"checked": ["size", "digests", "structure"], **facts}


def _read_scheduled(backup: Backup, copy: Copy, identities: tuple[str, ...], lease: Lease) -> dict[str, Any]:
    """Nobody is there to give the right key: what the site's own keys do not open is compared as it is stored."""
    try:
        return _read(backup, copy, identities, lease)
    except BackupError as error:
        if error.code != "wrong_key":
            raise
    return _read_stored(backup, copy, lease)


def _index(backup: Backup, copy: Copy, lease: Lease) -> dict[str, Any]:
    """A damaged index costs the next incremental, which becomes a full backup; it damages no copy."""
    try:
        require_index(backup, copy=copy)
    except BackupError as error:
        lease.log(f"the index is damaged, the next backup will be a full one: {error}")
        return {"index": f"damaged: {error.message}"}
    return {}


def _read_stored(backup: Backup, copy: Copy, lease: Lease) -> dict[str, Any]:
    """Without a key: the stored bytes are compared, the structure cannot be."""
    expected = digests_of(backup)
    lease.phase("verify", estimate=backup.size)
    with open_storage(copy.destination).open_stream(copy.key, version_id=copy.version_id) as stored:
        found = read_digests(stored, check=lease.check, progress=lease.progress)
    if found != (expected.size, expected.md5, expected.sha256):
        raise BackupError(
            f"{copy.key} holds {found[0]} bytes that differ from the {expected.size} bytes stored.",
            code="artefact_corrupt",
            permanent=True,
        )
    if copy.state == Copy.State.QUARANTINED:
        raise BackupError(
            f"{copy.key} holds the bytes that were stored and stays in quarantine: only its structure can free it.",
            code="missing_key",
            permanent=True,
            hint="Verify again with the age secret key (identity).",
        )
    lease.log(f"{copy.key}: sizes and digests agree; the structure is not checked without a key")
    return {"checked": ["size", "digests"]}


def _engine(backup: Backup) -> Engine:
    """The engine without a Database: reading an archive needs no server, and the Database may be gone."""
    return registry.build(backup.engine, Connection(), {}, settings.BACKUPSITE_ENGINE_SETTINGS)


def _note_whole(copy: Copy, checked: list[str]) -> None:
    """Only a look at the structure takes a copy out of quarantine: its digests may always have agreed."""
    states = [Copy.State.STORED, Copy.State.QUARANTINED] if "structure" in checked else [Copy.State.STORED]
    Copy.objects.filter(pk=copy.pk, state__in=states).update(
        verified_at=timezone.now(), tried_at=None, readback=Copy.Readback.FULL, state=Copy.State.STORED, error=""
    )
