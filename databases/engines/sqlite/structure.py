"""Is a plain stream one whole database file? By its header, while it flows (https://www.sqlite.org/fileformat2.html)."""

from collections.abc import Mapping
from typing import Any

from jobs.errors import BackupError

MAGIC = b"SQLite format 3\0"
HEADER = 100


def damaged(message: str) -> BackupError:
    return BackupError(message, code="structure", hint="The archive is not whole.")


class HeaderStructure:
    """What it proves: the stream begins as a database and has exactly as many pages as that beginning says."""

    def __init__(self) -> None:
        self._header = bytearray()
        self._size = 0

    def feed(self, block: memoryview) -> None:
        self._size += len(block)
        if len(self._header) < HEADER:
            self._header += block[: HEADER - len(self._header)]

    def finish(self) -> Mapping[str, Any]:
        if len(self._header) < HEADER or not self._header.startswith(MAGIC):
            raise damaged("The stream does not begin as an SQLite database.")
        page_size = int.from_bytes(self._header[16:18])
        page_size = 65536 if page_size == 1 else page_size
        pages = int.from_bytes(self._header[28:32])
        if not pages or self._size != pages * page_size:
            raise damaged(f"There are {self._size} bytes, and {pages} pages of {page_size} bytes are wanted.")
        return {"page_size": page_size, "pages": pages}
