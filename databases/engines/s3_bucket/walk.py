"""Going through one artefact: what it holds in its order, every byte compared with the manifest members in it."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from databases.engines.base import Readable
from databases.engines.s3_bucket.faults import shown
from databases.engines.s3_bucket.objects import Object, json_object, object_of
from databases.engines.s3_bucket.reader import Member, TarReader
from databases.engines.s3_bucket.structure import damaged
from databases.engines.s3_bucket.tarformat import OWN, SCHEMA_VERSION, SUMMARY

MANIFESTS = OWN + "manifest-"
LARGEST_OWN = 32 << 20  # a manifest member holds 8 MiB of lines and the rest of one
MOST_WAITING = 64 << 20  # bytes of keys and metadata whose manifest lines have not come
_COST = 500  # of one member that waits, beside its key and metadata


@dataclass(frozen=True)
class Voided:
    """The copy that was just read is not an object: it changed, or went, while it was being read."""

    key: str


@dataclass(frozen=True)
class Deleted:
    """The parent of this incremental holds the key, the bucket did not any more."""

    key: str


@dataclass
class _Waiting:
    found: Object
    sha256: str


class Walk:
    """One pass over an artefact. Whoever has iterated to the end has a sound artefact, checked against its manifest.

    Raises BackupError(code="structure"), and what the source raises.
    """

    def __init__(self, source: Readable, check: Callable[[], None]) -> None:
        self.summary: dict[str, Any] = {}
        self.objects = self.bytes = self.voided = self.deleted = 0
        self._tar = TarReader(source, check)
        self._current: Object | None = None
        self._digest = hashlib.sha256()
        self._waiting: deque[_Waiting] = deque()
        self._cost = 0
        self._manifests = 0
        self._block = bytearray(1 << 20)

    def __iter__(self) -> Iterator[Object | Voided | Deleted]:
        while (member := self._next()) is not None:
            if self.summary:
                raise damaged("A member follows the summary.")
            if member.name == SUMMARY:
                self.summary = self._read_summary(member)
            elif member.name.startswith(MANIFESTS):
                yield from self._lines(member)
            else:
                self._current = object_of(member)
                self._digest = hashlib.sha256()
                yield self._current
        self._compare_summary()

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Fills the buffer with the current object's bytes; a short count is its end."""
        count = self._tar.readinto(buffer)
        with memoryview(buffer)[:count] as view:
            self._digest.update(view)
        return count

    def sha256(self) -> str:
        """Of what was read of the current object."""
        return self._digest.hexdigest()

    def _next(self) -> Member | None:
        """The next member, after the bytes of the one before that nobody wanted."""
        if self._current is not None:
            while self.readinto(self._block) == len(self._block):
                pass
            self._wait_for_line(self._current)
            self._current = None
        return self._tar.next()

    def _wait_for_line(self, found: Object) -> None:
        self._waiting.append(_Waiting(found, self._digest.hexdigest()))
        self._cost += _cost(found)
        if self._cost > MOST_WAITING:
            raise damaged("The manifest of very many members is missing.")

    def _lines(self, member: Member) -> Iterator[Voided | Deleted]:
        self._manifests += 1
        for line in self._own(member).split(b"\n"):
            if not line:
                continue
            value = json_object(line)
            key = value.get("key")
            if not isinstance(key, str):
                raise damaged("A line of the manifest names no key.")
            if value.get("deleted"):
                self.deleted += 1
                yield Deleted(key)
                continue
            self._compare(value)
            if value.get("voided"):
                self.voided += 1
                yield Voided(key)
            else:
                self.objects += 1
                self.bytes += int(value["size"])

    def _compare(self, line: dict[str, Any]) -> None:
        """Lines come in the order of the members they are about."""
        if not self._waiting:
            raise damaged("The manifest names a member that is not there.")
        waiting = self._waiting.popleft()
        found = waiting.found
        self._cost -= _cost(found)
        member = line.get("member") or line["key"]
        for name, value in (
            ("key", found.key),
            ("size", found.size),
            ("etag", found.etag),
            ("version_id", found.version_id),
            ("content_type", found.content_type),
            ("metadata", found.metadata),
            ("sha256", waiting.sha256),
        ):
            if line.get(name) != value:
                raise damaged(f"The {name} of {shown(found.key)} is not what the manifest says.")
        if member != found.name:
            raise damaged(f"The member of {shown(found.key)} has another name than the manifest says.")

    def _read_summary(self, member: Member) -> dict[str, Any]:
        summary = json_object(self._own(member))
        if summary.get("schema_version") != SCHEMA_VERSION:
            raise damaged("The tar's summary is of another version.")
        return summary

    def _compare_summary(self) -> None:
        if not self.summary:
            raise damaged("The tar has no summary.")
        if self._waiting:
            raise damaged("The manifest does not name every member.")
        for name, count in (
            ("objects", self.objects),
            ("bytes", self.bytes),
            ("voided", self.voided),
            ("deleted", self.deleted),
            ("manifests", self._manifests),
        ):
            if self.summary.get(name) != count:
                raise damaged(f"The summary counts {self.summary.get(name)} {name}, the tar holds {count}.")

    def _own(self, member: Member) -> bytes:
        if member.size > LARGEST_OWN:
            raise damaged("A manifest or summary is absurdly large.")
        data = bytearray(member.size)
        self._tar.readinto(data)
        return bytes(data)


def _cost(found: Object) -> int:
    return _COST + len(found.key) + len(found.name) + sum(len(str(part)) for part in found.metadata.values())
