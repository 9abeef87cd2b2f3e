"""The lines of a stored archive, each one JSON value, compared with what the manifest counted."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from databases.engines.base import Readable
from databases.engines.http_service.cutting import LONGEST, scan
from databases.engines.http_service.manifest import TAGGED, tag
from databases.engines.http_service.structure import damaged

BLOCK = 1 << 20
_LONGEST_LINE = 4 * LONGEST + BLOCK  # bytes


class Lines:
    """(collection, record) of every line, the record as it stands there.

    After the last one the source has verified its end, and `counts` equals the manifest's. Raises
    BackupError(code="structure") and what the source raises.
    """

    def __init__(self, source: Readable, manifest: Mapping[str, Any], check: Callable[[], None]) -> None:
        collections = manifest.get("collections")
        if not isinstance(collections, list) or not collections:
            raise damaged("The manifest names no collection.")
        self._source, self._check = source, check
        self._expected = {name: count for name, count in manifest.get("counts", {}).items() if count is not None}
        self.counts = dict.fromkeys(collections, 0)
        self._only = "" if manifest.get("format") == TAGGED else collections[0]
        self._tags = {tag(name): name for name in collections}

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        for number, line in enumerate(self._split(), start=1):
            collection, record = (self._only, line) if self._only else self._untagged(line, number)
            _require_json(record, number)
            self.counts[collection] += 1
            yield collection, record
        for name, count in self._expected.items():
            if self.counts.get(name) != count:
                raise damaged(f"{name} has {self.counts.get(name, 0)} records, and {count} were counted.")

    def _split(self) -> Iterator[bytes]:
        block, rest, count = bytearray(BLOCK), b"", BLOCK
        while count == BLOCK:
            self._check()
            count = self._source.readinto(block)
            *whole, rest = (rest + block[:count]).split(b"\n")
            yield from whole
            if len(rest) > _LONGEST_LINE:
                raise damaged("A line is longer than any record.")
        if rest:
            raise damaged("The last line does not end.")

    def _untagged(self, line: bytes, number: int) -> tuple[str, bytes]:
        """By the exact bytes that a dump writes before a record, else by reading the line's members."""
        for before, name in self._tags.items():
            if line.startswith(before) and line.endswith(b"}"):
                return name, line[len(before) : -1]
        raise damaged(f"Line {number} names none of the collections.")


def _require_json(record: bytes, number: int) -> None:
    try:
        text = record.decode()
        if scan(text, 0)[1] == len(text):
            return
    except (ValueError, RecursionError):
        pass
    raise damaged(f"Line {number} is no JSON.")
