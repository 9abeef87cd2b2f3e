"""An archive without some of its collections, or with masked ones, while it flows.

mongorestore leaves collections out by --nsExclude, but not where it replays an oplog.
"""

from collections.abc import Callable, Mapping
from typing import Any

import bson
from bson.int64 import Int64
from fastcrc.crc64 import xz as crc64

from databases.engines.base import Readable
from databases.engines.mongodb.archive import MAGIC, Archive, Member
from databases.engines.mongodb.masking import Masking
from databases.engines.mongodb.structure import MongoStructure

END = b"\xff\xff\xff\xff"


def members_of(prelude: bytes) -> list[bytes]:
    """The documents of a complete prelude behind its first one, one for each collection."""
    at, found = len(MAGIC), []
    while prelude[at : at + 4] != END:
        length = int.from_bytes(prelude[at : at + 4], "little")
        found.append(prelude[at : at + length])
        at += length
    return found[1:]


class _Sifting(Archive):
    """`passed` collects what belongs to wanted collections, and the prelude with these alone.

    Documents of a masked collection pass one by one; at its end stands the checksum of what passed.
    """

    def __init__(self, wanted: Callable[[Member], bool], masking: Masking) -> None:
        super().__init__()
        self._wanted = wanted
        self._masking = masking
        self._masked: tuple[str, str] | None = None  # whose documents follow, where they are masked
        self._checksums: dict[tuple[str, str], int] = {}
        self._passing: set[tuple[str, str]] = set()
        self._passes = False
        self.passed = bytearray()

    def feed(self, block: memoryview) -> None:
        self.length += len(block)
        at = 0
        while at < len(block):
            if self._current is None:
                announced = self.members is None
                at = self._head(block, at)
                if announced and self.members is not None:
                    self._begin_passing(self.members)
            else:
                begin, at = at, self._documents(block, at, self._current)
                if self._passes and self._masked is None:
                    self.passed += block[begin:at]
                elif self._passes and self._is_between():
                    self.passed += END

    def _is_between(self) -> bool:
        """Whether the next thing is the header of a block."""
        return self._current is None

    def _begin_passing(self, members: tuple[Member, ...]) -> None:
        kept = [self._wanted(member) for member in members]
        self._passing = {member.stored for member, keep in zip(members, kept, strict=True) if keep}
        documents = [raw for raw, keep in zip(members_of(self.prelude), kept, strict=True) if keep]
        self.passed += MAGIC + bson.encode(self.header) + b"".join(documents) + END

    def _headed(self, raw: bytes) -> None:
        super()._headed(raw)
        if self._current is not None:
            document = bson.decode(raw)
            stored = (document["db"], document["collection"])
            self._passes = stored in self._passing
            self._masked = stored if self._passes and self._masking.masks(stored) else None
            self.document = self._mask if self._masked else None
            if self._masked and document["EOF"]:
                raw = bson.encode({**document, "CRC": _signed(self._checksums.get(stored, 0))})
            if self._passes:
                self.passed += raw

    def _mask(self, raw: bytes) -> None:
        assert self._masked is not None
        masked = self._masking.document(self._masked, raw)
        self._checksums[self._masked] = crc64(masked, self._checksums.get(self._masked, 0))
        self.passed += masked


def _signed(number: int) -> Int64:
    return Int64(number - (1 << 64) if number >> 63 else number)


class FilteredSource:
    """Gives the wanted collections of a source, masked. Before its end the whole archive was found sound."""

    def __init__(
        self,
        source: Readable,
        manifest: Mapping[str, Any],
        wanted: Callable[[Member], bool],
        masking: Masking | None = None,
    ) -> None:
        self._source = source
        self._archive = _Sifting(wanted, masking or Masking({}))
        self._structure = MongoStructure(manifest, self._archive)
        self._block = bytearray(1 << 20)
        self._ended = False

    def readinto(self, buffer: bytearray | memoryview) -> int:
        passed = self._archive.passed
        while len(passed) < len(buffer) and not self._ended:
            count = self._source.readinto(self._block)
            self._structure.feed(memoryview(self._block)[:count])
            if count < len(self._block):
                self._structure.finish()
                self._ended = True
        count = min(len(passed), len(buffer))
        memoryview(buffer)[:count] = passed[:count]
        del passed[:count]
        return count
