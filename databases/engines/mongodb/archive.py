"""The archive that mongodump writes, read as it flows.

The format is that of mongo-tools, common/archive, version 0.1 (Database Tools 3.2 to 100.x), little-endian:

- the number 0x8199e26d;
- the prelude: a BSON document `{concurrent_collections, version, server_version, tool_version}`, one
  `{db, collection, metadata, size, type}` for each collection (`metadata` is JSON: options, indexes, UUID), and the
  terminator, which is 0xffffffff where a document's length would stand;
- blocks until the end, those of several collections in any order: `{db, collection, EOF, CRC}`, documents of that
  collection, the terminator. A collection's last block has `EOF` true, no document, and in `CRC` the CRC-64 (of xz)
  of all its documents. Documents of a time series are those of `system.buckets.NAME`; the oplog has an empty `db`.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import bson
from bson.errors import InvalidBSON
from fastcrc.crc64 import xz as crc64

from databases.engines.mongodb.catalog import BUCKETS
from jobs.errors import BackupError

MAGIC = struct.pack("<I", 0x8199E26D)
TERMINATOR = -1
SMALLEST = 5  # bytes of an empty document
LARGEST = 64 << 20  # of any document: the server's own limit is 16 MiB and a little
_LENGTH = struct.Struct("<i")


def damaged(message: str) -> BackupError:
    return BackupError(message, code="structure", hint="The archive is not whole: make or verify another backup.")


@dataclass(frozen=True)
class Member:
    """A collection as the prelude announces it."""

    database: str
    name: str
    type: str
    metadata: str

    @property
    def namespace(self) -> str:
        return f"{self.database}.{self.name}"

    @property
    def stored(self) -> tuple[str, str]:
        """Under which name its documents stand."""
        return self.database, f"{BUCKETS}{self.name}" if self.type == "timeseries" else self.name


@dataclass
class _Contents:
    documents: int = 0
    crc: int = 0
    ended: bool = False


@dataclass
class Archive:
    """Feed it the stream. `members` is None until the prelude is complete, whose bytes are then `prelude`.

    It proves: magic number and prelude parse; every document has a possible length; every collection of the prelude,
    and none else but the oplog, has its end with the CRC-64 of all its documents; nothing is cut and nothing
    follows. `document` is called with each document, for whoever wants to look inside.
    """

    document: Callable[[bytes], object] | None = None
    header: dict[str, Any] = field(default_factory=dict)
    members: tuple[Member, ...] | None = None
    prelude: bytes = b""
    length: int = 0
    _found: list[Member] = field(default_factory=list)
    _contents: dict[tuple[str, str], _Contents] = field(default_factory=dict)
    _kept: bytearray = field(default_factory=bytearray)  # the beginning of something that is not complete yet
    _current: _Contents | None = None  # whose documents follow
    _rest: int = 0  # bytes that the current document still has

    def feed(self, block: memoryview) -> None:
        """Raises BackupError(code="structure")."""
        self.length += len(block)
        at = 0
        while at < len(block):
            at = self._head(block, at) if self._current is None else self._documents(block, at, self._current)

    def counts(self) -> dict[str, int]:
        """Documents by collection, with the name that users see; without views, which hold none, and the oplog."""
        return {
            member.namespace: self._contents[member.stored].documents if member.stored in self._contents else 0
            for member in self.members or ()
            if member.type != "view" and member.database
        }

    def checksums(self) -> dict[str, str]:
        """CRC-64 of all documents of a collection, in hex; by the same names."""
        return {
            member.namespace: f"{self._contents[member.stored].crc if member.stored in self._contents else 0:016x}"
            for member in self.members or ()
            if member.type != "view" and member.database
        }

    def finish(self) -> None:
        """Raises BackupError(code="structure") unless the whole archive has been fed."""
        if self.members is None:
            raise damaged("The archive ends within its prelude." if self.length else "The archive is empty.")
        if self._kept or self._rest or self._current is not None:
            raise damaged("The archive ends within a collection.")
        for member in self.members:
            contents = self._contents.get(member.stored)
            if contents is None or not contents.ended:
                raise damaged(f"The archive ends before {member.namespace} does.")
        for (database, name), contents in self._contents.items():
            if not contents.ended:
                raise damaged(f"The archive ends before {database}.{name} does.")

    def _take(self, block: memoryview, at: int, count: int) -> int:
        """Keeps bytes until there are `count`; returns where to go on."""
        end = min(at + max(count - len(self._kept), 0), len(block))
        self._kept += block[at:end]
        return end

    def _head(self, block: memoryview, at: int) -> int:
        """The magic number, a document of the prelude, or the header of a block."""
        at = self._take(block, at, 4)
        if len(self._kept) < 4:
            return at
        if not self.prelude:
            if self._kept != MAGIC:
                raise damaged("This is not an archive of mongodump: it does not begin with its number.")
            self.prelude = bytes(self._kept)
            self._kept.clear()
            return at
        (length,) = _LENGTH.unpack_from(self._kept)
        if length == TERMINATOR and self.members is None and self.header:
            self.prelude += self._kept
            self.members = tuple(self._found)
            self._kept.clear()
            return at
        if not SMALLEST <= length <= LARGEST:
            raise damaged(f"A document of {length} bytes stands at byte {self.length - len(block) + at}.")
        at = self._take(block, at, length)
        if len(self._kept) == length:
            self._headed(bytes(self._kept))
            self._kept.clear()
        return at

    def _headed(self, raw: bytes) -> None:
        try:
            document: dict[str, Any] = bson.decode(raw)
            if self.members is None:
                self.prelude += raw
                if self.header:
                    self._found.append(_member(document))
                else:
                    self.header = document
                return
            key, ended, crc = (document["db"], document["collection"]), document["EOF"], document["CRC"]
        except (InvalidBSON, KeyError) as error:
            raise damaged(f"A header of the archive does not parse: {type(error).__name__}.") from error
        self._begin(key, bool(ended), int(crc) & 0xFFFFFFFFFFFFFFFF)

    def _begin(self, key: tuple[str, str], ended: bool, crc: int) -> None:
        if key not in self._contents:
            if key[0] and not any(member.stored == key for member in self.members or ()):
                raise damaged(f"The archive holds {'.'.join(key)}, which its prelude does not name.")
            self._contents[key] = _Contents()
        contents = self._contents[key]
        if contents.ended:
            raise damaged(f"{'.'.join(key)} goes on after its end.")
        if ended:
            if contents.crc != crc:
                raise damaged(f"The documents of {'.'.join(key)} do not have the checksum that the archive gives.")
            contents.ended = True
        self._current = contents

    def _documents(self, block: memoryview, at: int, contents: _Contents) -> int:
        """As many documents as the block holds; the length of the next may be cut by the block's end."""
        if self._kept and not self._rest:
            begun = len(self._kept)
            at = self._take(block, at, 4)
            if len(self._kept) < 4:
                return at
            (length,) = _LENGTH.unpack_from(self._kept)
            if length == TERMINATOR:
                return self._ended(at)
            self._require_document(length, contents, at - (4 - begun), block)
            self._add(contents, memoryview(bytes(self._kept)))
            contents.documents += 1
            self._rest = length - 4
            if self.document is None:
                self._kept.clear()
        if self._rest:
            at = self._continue(block, at, contents)
            if self._rest:
                return at
        return self._whole(block, at, contents)

    def _continue(self, block: memoryview, at: int, contents: _Contents) -> int:
        """The rest of a document that began in an earlier block."""
        end = min(at + self._rest, len(block))
        self._add(contents, block[at:end])
        self._rest -= end - at
        if self.document is not None:
            self._kept += block[at:end]
            if not self._rest:
                self.document(bytes(self._kept))
                self._kept.clear()
        return end

    def _whole(self, block: memoryview, at: int, contents: _Contents) -> int:
        begin, size, unpack, count = at, len(block), _LENGTH.unpack_from, 0
        length = 0
        while at + 4 <= size:
            (length,) = unpack(block, at)
            if not SMALLEST <= length <= LARGEST:
                break
            count += 1
            if self.document is not None and at + length <= size:
                self.document(bytes(block[at : at + length]))
            at += length
        contents.documents += count
        self._add(contents, block[begin : min(at, size)])
        if at >= size:
            self._rest = at - size
            if self._rest and self.document is not None:
                self._kept += block[size - (length - self._rest) :]
            return size
        if at + 4 > size:
            self._kept += block[at:]
            return size
        if length != TERMINATOR:
            self._require_document(length, contents, at, block)
        return self._ended(at + 4)

    def _require_document(self, length: int, contents: _Contents, at: int, block: memoryview) -> None:
        if contents.ended:
            raise damaged("Documents follow a collection's end.")
        if not SMALLEST <= length <= LARGEST:
            raise damaged(f"A document of {length} bytes stands at byte {self.length - len(block) + at}.")

    def _ended(self, at: int) -> int:
        self._kept.clear()
        self._current = None
        return at

    def _add(self, contents: _Contents, piece: memoryview) -> None:
        if piece and contents.ended:
            raise damaged("Documents follow a collection's end.")
        contents.crc = crc64(piece, contents.crc)


def _member(document: dict[str, Any]) -> Member:
    return Member(document["db"], document["collection"], document["type"] or "collection", document["metadata"])
