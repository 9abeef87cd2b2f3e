"""Store one object at a Destination and read it back; remove it, and again until it is really gone."""

import logging
from collections.abc import Iterable
from contextlib import suppress

from django.db import Error as DatabaseFault

from backups.destinations import open_storage
from backups.models import StoredObject
from backups.pipeline.blocks import Readable
from backups.pipeline.encode import Digests, encode
from backups.pipeline.encoding import Encoding
from backups.services.read_back import SAID, read_back
from jobs.errors import BackupError
from jobs.lease import Lease

logger = logging.getLogger(__name__)


def store(*, row: StoredObject, source: Readable, encoding: Encoding, lease: Lease) -> Digests:
    """Writes all that `source` gives under the row's key and compares what is stored then.

    Raises BackupError: stored_size, readback_mismatch, what the source and the destination say. Whatever goes wrong,
    the caller undoes the row.
    """
    rows, storage = type(row)._default_manager.filter(pk=row.pk), open_storage(row.destination)

    def on_upload(upload_id: str) -> None:
        rows.update(upload_id=upload_id)

    with encode(source, encoding=encoding, check=lease.check, progress=lease.progress) as reader:
        size = storage.write(row.key, reader, on_upload=on_upload, check=lease.check)
        digests = reader.digests
    if size != digests.size:
        raise BackupError(
            f"The destination took {size} bytes of {digests.size}.", code="stored_size", hint="Try again."
        )
    how = read_back(storage=storage, key=row.key, digests=digests, lease=lease)
    rows.update(readback=how)
    lease.log(f"stored {digests.size} bytes as {row.key} in {row.destination_id}; {SAID[how]}")
    return digests


def undo(row: StoredObject) -> None:
    """At once where possible; what cannot be removed now stays recorded, and the sweeper removes it."""
    with suppress(DatabaseFault, BackupError, OSError):
        remove(row)


def remove(row: StoredObject) -> None:
    """Deletes what the row stands for, unfinished uploads included, then the row. Raises BackupError or OSError."""
    storage = open_storage(row.destination)
    storage.abort_uploads(row.key, upload_id=row.upload_id or None)
    for key in row.keys:
        storage.delete(key)
    row.delete()


def remove_each(rows: Iterable[StoredObject]) -> int:
    """Returns how many are gone. A destination that does not answer is asked once: each question takes its timeouts."""
    removed = 0
    silent: set[str] = set()
    for row in rows:
        if row.destination_id in silent:
            continue
        try:
            remove(row)
            removed += 1
        except (BackupError, OSError) as error:
            if not (isinstance(error, BackupError) and error.permanent):
                silent.add(row.destination_id)
            if str(error)[:2000] != row.error:
                logger.warning("%s stays for now: %s", row.key, error)
            type(row)._default_manager.filter(pk=row.pk).update(error=str(error)[:2000])
    return removed
