"""An artefact as a plain stream: stored bytes -> decrypt -> decompress, strict to the last byte."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from functools import partial
from typing import Any

from backups.destinations import open_storage
from backups.models import Backup, Copy, Destination
from backups.pipeline.decode import DecodedReader, decode
from backups.pipeline.encode import Check, Digests, no_check
from backups.services.choose_copy import choose_copy
from backups.services.index import open_index
from databases.engines.base import Readable
from jobs.errors import BackupError
from jobs.lease import Lease

KEY_HINT = "Give the age secret key with the request (identity)."


class Reading:
    """Tells the lease how many bytes of a chain have been read, and when the last of its sources has ended."""

    def __init__(self, lease: Lease, sources: int) -> None:
        self._lease = lease
        self._left = sources
        self._done = 0

    def moved(self, count: int) -> None:
        self._done += count
        self._lease.progress(self._done)

    def ended(self) -> None:
        self._left -= 1
        if not self._left:
            # What follows, building indexes for one, may take hours and moves no byte.
            self._lease.phase("finish", moves_bytes=False)


class PlainSource:
    """What an engine reads of one backup: the plain stream and the manifest it was stored with.

    Opened by the first `readinto` and closed at its end: a chain is read one after the other.
    """

    def __init__(
        self,
        *,
        copy: Copy,
        manifest: Mapping[str, Any],
        opened: AbstractContextManager[Readable],
        open_index: Callable[[], AbstractContextManager[Readable]],
        reading: Reading,
    ) -> None:
        self.copy = copy
        self.manifest = manifest
        self.open_index = open_index
        self._opened = opened
        self._reading = reading
        self._reader: Readable | None = None
        self._stack = ExitStack()
        self._ended = False
        self.fault: BackupError | None = None  # of the copy itself, whatever the engine makes of it

    def readinto(self, buffer: bytearray | memoryview) -> int:
        if self._ended:
            return 0
        count = self._read(buffer)
        if count < len(buffer):
            self._ended = True
            self._reading.ended()
            self.close()
        self._reading.moved(count)
        return count

    def _read(self, buffer: bytearray | memoryview) -> int:
        try:
            if self._reader is None:
                self._reader = self._stack.enter_context(self._opened)
            return self._reader.readinto(buffer)
        except BackupError as error:
            self.fault = error
            raise

    def close(self) -> None:
        self._stack.close()


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


def require_key(
    backup: Backup,
    identities: Sequence[str],
    hint: str = KEY_HINT,
) -> None:
    """Raises BackupError(code="missing_key") when the backup is encrypted and there is nothing to open it with."""
    if backup.encryption == "age" and not identities:
        raise BackupError(
            f"{backup.pk} is encrypted and this server holds no key for it.",
            code="missing_key",
            permanent=True,
            hint=hint,
        )


@contextmanager
def open_plain(*, backup: Backup, copy: Copy, identities: Sequence[str], lease: Lease) -> Iterator[PlainSource]:
    """One artefact by itself. Raises BackupError: missing_key, wrong_key, vanished, artefact_truncated/_corrupt."""
    with closing(_source(backup, copy, identities, lease, Reading(lease, 1))) as source:
        yield source


@contextmanager
def open_chain(
    *, chain: Sequence[Backup], identities: Sequence[str], lease: Lease, destination: Destination | None = None
) -> Iterator[list[PlainSource]]:
    """A chain, oldest first, as a restore reads it: the copies at `destination`, else the nearest that are there.

    They are looked for before anything is read. Raises as `open_plain` does.
    """
    reading = Reading(lease, len(chain))
    with ExitStack() as stack:
        yield [
            stack.enter_context(closing(_source(backup, copy, identities, lease, reading)))
            for backup in chain
            for copy in [choose_copy(backup=backup, destination=destination, queue=lease.job.queue, say=lease.log)]
        ]


def _source(backup: Backup, copy: Copy, identities: Sequence[str], lease: Lease, reading: Reading) -> PlainSource:
    require_key(backup, identities)
    return PlainSource(
        copy=copy,
        manifest=backup.manifest.get("engine", {}),
        opened=open_decoded(backup=backup, copy=copy, identities=identities, check=lease.check),
        open_index=partial(open_index, backup, identities=identities),
        reading=reading,
    )


@contextmanager
def open_decoded(
    *, backup: Backup, copy: Copy, identities: Sequence[str], check: Check = no_check
) -> Iterator[DecodedReader]:
    """The plain bytes of one artefact, held against its digests at their end. `check` is called between blocks."""
    with (
        open_storage(copy.destination).open_stream(copy.key, version_id=copy.version_id) as stored,
        decode(
            stored,
            compression=backup.compression,
            encrypted=backup.encryption == "age",
            identities=identities,
            expected=digests_of(backup),
            check=check,
        ) as reader,
    ):
        yield reader
