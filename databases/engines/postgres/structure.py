"""Is a plain stream one whole archive? Cheap, while it flows."""

import re
from collections.abc import Mapping
from typing import Any

from databases.engines.postgres.archive import MAGIC, Head, Short, read_head
from jobs.errors import BackupError

HEAD_LIMIT = 512 << 20
TAIL = 4096
END_OF_BLOCK = b"\0" * 5  # a data block, and so an archive with data, ends with the integer 0
FIRST_LINES = re.compile(rb"\A--\n-- PostgreSQL database dump\n--\n(?:\n\\restrict (\w+)\n)?")
LAST_LINES = re.compile(rb"\n--\n-- PostgreSQL database dump complete\n--\n+(?:\\unrestrict (\w+)\n+)?\Z")


def damaged(message: str) -> BackupError:
    return BackupError(message, code="structure", hint="The dump is not whole.")


class PostgresStructure:
    """What it proves, beside pg_dump's own status 0, which the dump has already waited for:

    - custom: header and table of contents parse exactly to their last byte; when data are announced, a data block
      follows at once and belongs to an entry of the table of contents, and the stream ends with the end mark of a
      data block; when none are announced, the stream ends with the table of contents.
    - plain: the script begins with pg_dump's first lines and ends with its last ones (`\\restrict` and `\\unrestrict`
      with the same key).

    A cut of a byte or two is missed when the rows or large objects before the end mark end in zero bytes themselves.
    It does not read the rows between: pg_restore does, in `verify_structure`. It costs one look at the length of
    each block and a copy of the last 4 KiB.
    """

    def __init__(self) -> None:
        self._head = bytearray()
        self._parsed: Head | None = None
        self._tail = b""
        self._length = 0
        self._next_try = 0

    def feed(self, block: memoryview) -> None:
        self._length += len(block)
        if not self._complete():
            self._head += block
            if len(self._head) >= self._next_try:
                self._parse()
        self._tail = bytes(block[-TAIL:]) if len(block) >= TAIL else (self._tail + bytes(block))[-TAIL:]

    def _complete(self) -> bool:
        if self._parsed is not None:
            return len(self._head) >= self._parsed.length + 16
        return not self._head.startswith(MAGIC) and len(self._head) >= TAIL

    def _parse(self) -> None:
        """Parsing starts anew each time, so only when the head has doubled."""
        self._next_try = 2 * len(self._head)
        if self._parsed is None and self._head.startswith(MAGIC):
            try:
                self._parsed = read_head(self._head)
                self._next_try = 0
            except Short:
                if len(self._head) > HEAD_LIMIT:
                    raise damaged("The archive's table of contents does not end.") from None

    def finish(self) -> Mapping[str, Any]:
        if self._head.startswith(MAGIC):
            return self._custom()
        first, last = FIRST_LINES.search(self._head), LAST_LINES.search(self._tail)
        if first is None:
            raise damaged("The stream begins like neither a pg_dump archive nor a pg_dump script.")
        if last is None:
            raise damaged("The script does not end with pg_dump's closing lines.")
        if first[1] != last[1]:
            raise damaged("The script's \\restrict and \\unrestrict do not belong together.")
        return {"format": "plain", "length": self._length}

    def _custom(self) -> Mapping[str, Any]:
        head = self._parsed or self._parse_all()
        with_data = {entry.id for entry in head.entries if entry.has_data}
        if with_data:
            block = self._head[head.length : head.length + 6]
            if len(block) < 6 or block[0] not in (1, 3) or int.from_bytes(block[2:6], "little") not in with_data:
                raise damaged("No data follow the archive's table of contents.")
            last = [entry for entry in head.entries if entry.has_data][-1]
            # A block of large objects ends twice: the last object's data, then the list of objects.
            if not self._tail.endswith(END_OF_BLOCK * (2 if last.kind == "BLOBS" else 1)):
                raise damaged("The archive's last data block does not end.")
        elif self._length != head.length:
            raise damaged(f"{self._length - head.length} bytes follow the end of the archive.")
        return {"format": "custom", "length": self._length, "entries": len(head.entries), "data": len(with_data)}

    def _parse_all(self) -> Head:
        try:
            return read_head(self._head)
        except Short:
            raise damaged("The archive ends within its table of contents.") from None
