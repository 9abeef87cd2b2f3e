"""An artefact as a plain stream: stored bytes -> decrypt -> decompress, strict to the last byte."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from backups.destinations import open_storage
from backups.models import Backup, Copy
from backups.pipeline.decode import DecodedReader, decode
from backups.pipeline.encode import Digests
from jobs.errors import BackupError
from jobs.lease import Lease


class PlainSource:
    """What an engine reads: the plain stream and the manifest it was stored with. Tells the lease of its bytes."""

    def __init__(self, reader: DecodedReader, manifest: Mapping[str, Any], lease: Lease) -> None:
        self._reader = reader
        self._lease = lease
        self._done = 0
        self._ended = False
        self.manifest = manifest

    def readinto(self, buffer: bytearray | memoryview) -> int:
        count = self._reader.readinto(buffer)
        self._done += count
        if count < len(buffer) and not self._ended:
            # What follows, building indexes for one, may take hours and moves no byte.
            self._ended = True
            self._lease.phase("finish", moves_bytes=False)
        self._lease.progress(self._done)
        return count


def digests_of(backup: Backup) -> Digests:
    """What the backup was stored with. Raises BackupError(code="wrong_state") before it completed."""
    if backup.size is None or backup.original_size is None:
        raise BackupError(f"{backup.pk} has no artefact.", code="wrong_state", permanent=True)
    return Digests(
        original_size=backup.original_size,
        original_blake3=backup.original_blake3,
        size=backup.size,
        md5=backup.md5,
        sha256=backup.sha256,
    )


def require_key(backup: Backup, identities: Sequence[str]) -> None:
    """Raises BackupError(code="missing_key") when the backup is encrypted and there is nothing to open it with."""
    if backup.encryption == "age" and not identities:
        raise BackupError(
            f"{backup.pk} is encrypted and this server holds no key for it.",
            code="missing_key",
            permanent=True,
            hint="Give the age secret key with the request (identity).",
        )


@contextmanager
def open_plain(*, backup: Backup, copy: Copy, identities: Sequence[str], lease: Lease) -> Iterator[PlainSource]:
    """Raises BackupError: missing_key, wrong_key, vanished, artefact_truncated, artefact_corrupt."""
    require_key(backup, identities)
    with (
        open_storage(copy.destination).open_stream(copy.key) as stored,
        decode(
            stored,
            compression=backup.compression,
            encrypted=backup.encryption == "age",
            identities=identities,
            expected=digests_of(backup),
            check=lease.check,
        ) as reader,
    ):
        yield PlainSource(reader, backup.manifest.get("engine", {}), lease)
