"""Looking at the beginning of a source without losing it."""

from collections.abc import Mapping
from typing import Any

from databases.engines.base import Source
from databases.engines.postgres.archive import MAGIC, Head, Short, read_head
from databases.engines.postgres.structure import HEAD_LIMIT, damaged

BLOCK = 1 << 20


class PeekedSource:
    """A source whose first bytes have been read: `head` is the archive's TOC, None for a plain script."""

    def __init__(self, source: Source) -> None:
        self.manifest: Mapping[str, Any] = source.manifest
        self._source = source
        self._ended = False
        self.beginning = bytearray()
        self._more(BLOCK)
        self.head = self._read_head() if self.beginning.startswith(MAGIC) else None
        self._at = 0

    def _more(self, count: int) -> None:
        block = bytearray(count)
        got = self._source.readinto(block)
        self._ended = got < count
        self.beginning += block[:got]

    def _read_head(self) -> Head:
        while True:
            try:
                return read_head(self.beginning)
            except Short:
                if self._ended or len(self.beginning) > HEAD_LIMIT:
                    raise damaged("The archive ends within its table of contents.") from None
                self._more(len(self.beginning))

    def readinto(self, buffer: bytearray | memoryview) -> int:
        view = memoryview(buffer)
        known = memoryview(self.beginning)[self._at : self._at + len(view)]
        view[: len(known)] = known
        self._at += len(known)
        count = len(known)
        if count < len(view) and not self._ended:
            got = self._source.readinto(view[count:])
            self._ended = got < len(view) - count
            count += got
        return count
