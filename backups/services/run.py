"""Run a backup: engine -> pipeline -> destination -> read back -> sidecar. `completed` is the last write."""

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseFault
from django.db import transaction
from django.utils import timezone

from backups.artefact import key_of, sidecar, sidecar_key
from backups.destinations import open_storage
from backups.models import Backup, Copy, Destination, Restore
from backups.pipeline.encode import Digests, encode
from backups.pipeline.encoding import Encoding
from backups.selectors import primary_destination, recipients_of, stored_places
from backups.services.chain import hold_parent
from backups.services.ensure_copies import copy_completed
from backups.services.events import record_backup_event, record_backup_start
from backups.services.hold import noting
from backups.services.hooks import hooks_around
from backups.services.index import Spool, parent_of, spool, store_index
from backups.services.judge import judge_completed
from backups.services.prune import remove_copy
from backups.services.read_back import SAID, read_back
from backups.storage.base import ObjectStorage
from databases.engines.base import Dump, DumpRequest, Engine
from databases.models import Database
from databases.services.build_engine import build_engine
from jobs.errors import BackupError
from jobs.lease import Lease
from jobs.models import OPEN, Status
from jobs.services.sweep import WORKER_LOST
from jobs.services.tally import BYTES, SECONDS, add, observe

logger = logging.getLogger(__name__)


def may_start(backup: Backup) -> bool:
    """Backups of one Database run in the order they were asked for, and never beside a restore into it."""
    same = Backup.objects.filter(database=backup.database_id)
    earlier = same.filter(status=Status.PENDING, created_at__lt=backup.created_at)
    restoring = Restore.objects.filter(target=backup.database_id, status=Status.IN_PROGRESS)
    return not (same.filter(status=Status.IN_PROGRESS).exists() or earlier.exists() or restoring.exists())


def run_backup(backup: Backup, lease: Lease) -> dict[str, Any]:
    """One attempt; returns what `completed` sets. Whatever goes wrong, this attempt's objects are removed."""
    database = Database.objects.filter(pk=backup.database_id).first()
    if database is None:
        raise BackupError(f"Database {backup.database_id} was deleted.", code="database_deleted", permanent=True)
    destination = primary_destination(database)
    engine = build_engine(database=database)
    encoding = Encoding(
        compression=database.compression, level=database.compression_level, recipients=recipients_of(database)
    )
    lease.log(f"backing up {database.name} ({database.engine}, {backup.type})")
    record_backup_start(backup)
    lease.phase("preflight", moves_bytes=False)
    hold_parent(backup=backup, engine=engine, recipients=encoding.recipients, lease=lease)
    with hooks_around(backup=backup, database=database, lease=lease), spool() as index:
        request = _request(backup, lease, index)
        engine.preflight(request)
        open_storage(destination)  # what is wrong with it is said before the dump begins
        with engine.dump(request) as dump:
            copy = _begin_copy(backup, destination, dump.extension + encoding.extension)
            storage = open_storage(copy.destination)
            try:
                digests, facts = _store(dump, engine, encoding, storage, copy, lease)
                how = read_back(storage=storage, key=copy.key, digests=digests, lease=lease, version_id=copy.version_id)
                Copy.objects.filter(pk=copy.pk).update(readback=how)
                indexed = store_index(copy=copy, spooled=index, recipients=encoding.recipients, lease=lease)
                body = sidecar(
                    backup=backup, key=copy.key, digests=digests, encoding=encoding, facts=facts, index=indexed
                )
                text = json.dumps(body, indent=2, sort_keys=True)
                storage.write_text(sidecar_key(copy.key), text, on_stored=noting(copy, artefact=False))
            except BaseException:
                _undo(copy)
                raise
    lease.log(f"stored {digests.size} bytes as {copy.key} in {destination.pk}; {SAID[how]}")
    return _fields(digests, encoding, facts, body)


def _request(backup: Backup, lease: Lease, index: Spool) -> DumpRequest:
    return DumpRequest(
        guard=lease,
        type=backup.type,
        include=tuple(backup.include),
        exclude=tuple(backup.exclude),
        lock_timeout_s=settings.BACKUPSITE_LOCK_TIMEOUT_S,
        parent=parent_of(backup),
        leave_out=stored_places(),
        index=index.write,
    )


def ended(backup: Backup) -> None:
    """The attempt's copy follows its outcome, in the same transaction."""
    own = backup.copies.filter(state=Copy.State.WRITING)
    if backup.status == Status.COMPLETED:
        own.filter(attempt=backup.attempt).update(state=Copy.State.STORED, verified_at=backup.finished_at, upload_id="")
    if backup.status in (Status.SCHEDULED, Status.FAILED):
        # How a lost attempt ended nobody here knows: settle_lost asks the store.
        own = own.none() if backup.error_code == WORKER_LOST.code else own.filter(attempt=backup.attempt)
    own.update(state=Copy.State.DELETING)
    if backup.status in (Status.FAILED, Status.CANCELLED):
        Backup.objects.filter(pk=backup.pk).update(parent=None)  # what it meant to build on is free again
    if backup.status == Status.COMPLETED:
        copy_completed(backup)
    if backup.status not in OPEN:
        _tally(backup)
    record_backup_event(backup)
    if backup.status == Status.COMPLETED:
        judge_completed(backup)


def _tally(backup: Backup) -> None:
    seconds = backup.duration_s or 0.0
    observe("backupsite_backup_duration_seconds", seconds, bounds=SECONDS, engine=backup.engine, status=backup.status)
    if backup.status == Status.COMPLETED:
        observe("backupsite_backup_size_bytes", backup.size or 0, bounds=BYTES, engine=backup.engine)
        add("backupsite_backup_original_bytes", backup.original_size or 0, engine=backup.engine)


def _begin_copy(backup: Backup, destination: Destination, extension: str) -> Copy:
    """The place may have changed since the run began; once this row is there, it cannot."""
    key = key_of(backup=backup, attempt=backup.attempt, extension=extension, at=timezone.now())
    with transaction.atomic():
        there = Destination.objects.select_for_update().filter(pk=destination.pk).first()
        if there is None:
            raise BackupError(f"Destination {destination.pk} was deleted.", code="destination_deleted", permanent=True)
        return Copy.objects.create(backup=backup, destination=there, attempt=backup.attempt, key=key)


def _store(
    dump: Dump, engine: Engine, encoding: Encoding, storage: ObjectStorage, copy: Copy, lease: Lease
) -> tuple[Digests, dict[str, Any]]:
    structure = engine.structure()

    def on_upload(upload_id: str) -> None:
        Copy.objects.filter(pk=copy.pk).update(upload_id=upload_id)

    lease.phase("dump", estimate=dump.bytes_total_estimate)
    lease.log(f"dumping to {copy.key}")
    with encode(
        dump,
        encoding=encoding,
        taps=[structure.feed],
        check=lease.check,
        progress=lease.progress,
        abort=dump.abort,
    ) as reader:
        size = storage.write(copy.key, reader, on_upload=on_upload, on_stored=noting(copy), check=lease.check)
        digests = reader.digests
    if size != digests.size:
        raise BackupError(
            f"The destination took {size} bytes of {digests.size}.", code="stored_size", hint="Try again."
        )
    return digests, {**dump.manifest, "structure": dict(structure.finish())}


def _undo(copy: Copy) -> None:
    """At once where possible; what cannot be removed now stays recorded, and the sweeper removes it."""
    with suppress(DatabaseFault, BackupError, OSError):
        remove_copy(copy)


def _fields(digests: Digests, encoding: Encoding, facts: Mapping[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    return {
        "size": digests.size,
        "original_size": digests.original_size,
        "original_blake3": digests.original_blake3,
        "md5": digests.md5,
        "sha256": digests.sha256,
        "compression": encoding.compression,
        "encryption": "age" if encoding.recipients else "none",
        "file_count": facts.get("file_count", 1),
        "manifest": body,
        "server_version": str(facts.get("server_version", ""))[:63],
        "tool_version": str(facts.get("tool_version", ""))[:63],
        "bytes_done": digests.original_size,
        "bytes_total_estimate": digests.original_size,
    }
