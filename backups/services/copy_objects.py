"""The objects of a copy: artefact, index and sidecar, streamed from one store into another."""

import copy as copies
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from backups.artefact import index_key
from backups.destinations import open_storage
from backups.models import Backup, Copy
from backups.pipeline.blocks import Readable
from backups.pipeline.encode import EncodedReader, encode
from backups.pipeline.encoding import Encoding
from backups.services.hold import noting
from backups.services.source import digests_of
from backups.storage.base import ObjectStorage
from jobs.errors import BackupError
from jobs.lease import Lease

AS_IT_IS = Encoding(compression="none")

Expected = tuple[int, str, str]  # size in bytes, MD5, SHA-256


class SourceFault(Exception):
    """The copy that is read is at fault, or its destination; nothing is wrong with the one that is written."""

    def __init__(self, error: BackupError) -> None:
        super().__init__(str(error))
        self.error = error


class _Source:
    """A stored stream whose errors are told from those of the destination that is written to."""

    def __init__(self, stored: Readable) -> None:
        self._stored = stored

    def readinto(self, buffer: memoryview) -> int:
        try:
            return self._stored.readinto(buffer)
        except BackupError as error:
            raise SourceFault(_as_damage(error)) from error


class _Compared:
    """Reports its end only when the bytes that passed are those that were once stored."""

    def __init__(self, reader: EncodedReader, expected: Expected, key: str) -> None:
        self._reader, self._expected, self._key = reader, expected, key

    def readinto(self, buffer: bytearray | memoryview) -> int:
        count = self._reader.readinto(buffer)
        if count < len(buffer):
            found = self._reader.digests
            if (found.size, found.md5, found.sha256) != self._expected:
                raise SourceFault(
                    BackupError(
                        f"{self._key} holds {found.size} bytes that differ from the {self._expected[0]} bytes stored.",
                        code="artefact_corrupt",
                        permanent=True,
                    )
                )
        return count


def copy_artefact(
    *, source: Copy, copy: Copy, storage: ObjectStorage, on_upload: Callable[[str], None], lease: Lease
) -> None:
    """Raises SourceFault, and what the destination says; then nothing is stored."""
    expected = digests_of(source.backup)
    with _opened(source, source.key, (expected.size, expected.md5, expected.sha256), lease) as reader:
        storage.write(copy.key, reader, on_upload=on_upload, on_stored=noting(copy), check=lease.check)


def copy_index(*, source: Copy, copy: Copy, storage: ObjectStorage, lease: Lease) -> dict[str, Any]:
    """What the sidecar says of the index, nothing when there is none.

    A damaged one damages no copy: the next incremental becomes a full backup.
    """
    facts: dict[str, Any] = source.backup.manifest.get("artefact", {}).get("index", {})
    if not facts:
        return {}
    encrypted = facts["key"].endswith(".age")
    from_key, to_key = index_key(source.key, encrypted=encrypted), index_key(copy.key, encrypted=encrypted)
    try:
        with _opened(source, from_key, (facts["size"], facts["md5"], facts["sha256"]), lease) as reader:
            storage.write(to_key, reader, on_stored=noting(copy, artefact=False), check=lease.check)
    except SourceFault as fault:
        if fault.error.code not in ("artefact_corrupt", "object_missing"):
            raise
        lease.log(f"the index is left out: {fault.error}")
        return {}
    return {**facts, "key": to_key}


def sidecar_of(*, copy: Copy, index: dict[str, Any]) -> dict[str, Any]:
    """The backup's own, with the keys under which things lie at this destination."""
    body: dict[str, Any] = copies.deepcopy(copy.backup.manifest)
    if "artefact" in body:
        body["artefact"] |= {"key": copy.key, "index": index, "parents": _parents(copy)}
    return body


def _parents(copy: Copy) -> list[str]:
    """Keys of what the backup builds on, oldest first: at this destination where a copy is there."""
    keys: list[str] = []
    part: Backup | None = copy.backup.parent
    while part is not None:
        here = part.copies.filter(destination=copy.destination_id, state=Copy.State.STORED).first()
        keys.insert(0, here.key if here else part.manifest["artefact"]["key"])
        part = part.parent
    return keys


@contextmanager
def _opened(source: Copy, key: str, expected: Expected, lease: Lease) -> Iterator[_Compared]:
    version_id = source.version_id if key == source.key else ""
    with ExitStack() as stack:
        try:
            stream = open_storage(source.destination).open_stream(key, version_id=version_id)
            stored = stack.enter_context(stream)
        except BackupError as error:
            raise SourceFault(_as_damage(error)) from error
        reader = stack.enter_context(
            encode(_Source(stored), encoding=AS_IT_IS, check=lease.check, progress=lease.progress)
        )
        yield _Compared(reader, expected, key)


def _as_damage(error: BackupError) -> BackupError:
    """An object that ends too soon is a damaged artefact."""
    if error.code == "object_truncated":
        return BackupError(error.message, code="artefact_truncated", permanent=True, hint=error.hint)
    return error
