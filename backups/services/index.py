"""The index of a backup: what the next incremental compares with, stored beside the artefact.

It is encrypted as the artefact is, and to one more key that only the backup's row holds, sealed: the site can read
it without the private key, and whoever holds the store cannot. docs/adr/0011 says why.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from functools import partial
from io import FileIO
from typing import Any

import zstandard
from django.conf import settings

from backups.artefact import index_key
from backups.destinations import open_storage
from backups.models import Backup, Copy
from backups.pipeline.blocks import Readable as StoredReader
from backups.pipeline.decode import decode
from backups.pipeline.encode import Digests, encode
from backups.pipeline.encoding import Encoding
from backups.pipeline.keys import generate_identity, recipient_of
from backups.pipeline.reader import read_digests
from backups.services.choose_copy import choose_copy
from backups.services.hold import noting
from databases.engines.base import Parent, Readable
from jobs.errors import BackupError
from jobs.fields import unseal
from jobs.lease import Lease

COMPRESSION = "zstd"


class Spool:
    """The lines of an index, compressed in an unnamed file until the artefact is stored: some 50 bytes an object."""

    def __init__(self, file: FileIO) -> None:
        self.empty = True
        self._file = file
        self._writer = zstandard.ZstdCompressor(write_checksum=True).stream_writer(file, closefd=False)

    def write(self, line: bytes) -> None:
        """Raises BackupError(code="spool_full") when the data folder's disk takes no more."""
        self.empty = False
        try:
            self._writer.write(line)
        except OSError as error:
            raise _full(error) from error

    @contextmanager
    def open(self) -> Iterator[Readable]:
        try:
            self._writer.flush(zstandard.FLUSH_FRAME)
            self._file.seek(0)
        except OSError as error:
            raise _full(error) from error
        with decode(self._file, compression=COMPRESSION, encrypted=False) as lines:
            yield lines


@contextmanager
def spool() -> Iterator[Spool]:
    with tempfile.TemporaryFile(dir=settings.DATA_DIR, buffering=0) as file:
        yield Spool(file)


def store_index(*, copy: Copy, spooled: Spool, recipients: tuple[str, ...], lease: Lease) -> dict[str, Any]:
    """Stores the index beside the artefact; returns what the sidecar says of it, nothing when there is none.

    It is not read back here: an incremental reads it to its end before it trusts it.
    """
    if spooled.empty:
        return {}
    identity = generate_identity()[0] if recipients else None
    own = (recipient_of(identity),) if identity else ()
    key = index_key(copy.key, encrypted=identity is not None)
    with (
        spooled.open() as lines,
        encode(lines, encoding=Encoding(compression=COMPRESSION, recipients=recipients + own)) as reader,
    ):
        open_storage(copy.destination).write(key, reader, on_stored=noting(copy, artefact=False), check=lease.check)
        digests = reader.digests
    lease.own_rows.update(index_identity=identity)
    return {"key": key, **asdict(digests)}


def parent_of(backup: Backup) -> Parent | None:
    """As an engine gets it."""
    parent = backup.parent
    if parent is None:
        return None
    return Parent(parent.manifest.get("engine", {}), partial(open_index, parent) if _facts(parent) else None)


@contextmanager
def open_index(backup: Backup, *, identities: Sequence[str] = ()) -> Iterator[Readable]:
    """The plain lines. Raises BackupError: no_index, missing_key, wrong_key, artefact_truncated, artefact_corrupt."""
    facts = _facts(backup)
    own = unseal(backup.index_identity)
    with (
        _stored(backup) as stored,
        decode(
            stored,
            compression=COMPRESSION,
            encrypted=facts["key"].endswith(".age"),
            identities=(own,) if own else identities,
            expected=Digests(**{name: value for name, value in facts.items() if name != "key"}),
        ) as lines,
    ):
        yield lines


def require_index_key(backup: Backup) -> None:
    """Raises BackupError(code="missing_key") where the index is encrypted and the row has no key: it was adopted."""
    facts = _facts(backup)
    if facts and facts["key"].endswith(".age") and not unseal(backup.index_identity):
        raise BackupError(
            "the key that opened it here was lost with the rows of the old site.", code="missing_key", permanent=True
        )


def require_index(backup: Backup, *, needed: bool = False, copy: Copy | None = None) -> None:
    """Reads the stored index, of `copy` where one is given; where there is none, that is a fault only if `needed`.

    Raises BackupError: artefact_corrupt, object_missing, no_index.
    """
    if not (facts := _facts(backup)) and not needed:
        return
    with _stored(backup, copy) as stored:
        found = read_digests(stored)
    if found != (facts["size"], facts["md5"], facts["sha256"]):
        raise BackupError(
            f"{facts['key']} holds {found[0]} bytes that differ from the {facts['size']} bytes stored.",
            code="artefact_corrupt",
            permanent=True,
        )


def _stored(backup: Backup, copy: Copy | None = None) -> AbstractContextManager[StoredReader]:
    facts = _facts(backup)
    if not facts:
        raise BackupError(f"{backup.pk} has no index.", code="no_index", permanent=True)
    copy = copy or choose_copy(backup=backup)
    key = index_key(copy.key, encrypted=facts["key"].endswith(".age"))
    return open_storage(copy.destination).open_stream(key)


def _facts(backup: Backup) -> dict[str, Any]:
    """What the sidecar says of the index: its key and digests; empty when there is none."""
    facts: dict[str, Any] = backup.manifest.get("artefact", {}).get("index", {})
    return facts


def _full(error: OSError) -> BackupError:
    return BackupError(
        f"The index cannot be kept in {settings.DATA_DIR}: {error.strerror}.",
        code="spool_full",
        hint="Free some space in the data folder: about 50 bytes for each object that is backed up.",
    )
