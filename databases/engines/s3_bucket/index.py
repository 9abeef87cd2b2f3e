"""The index beside an artefact: NDJSON of the whole state after it, in the order of the keys.

Its first line is `{"schema_version": 1, "chain": n}`, n incrementals after the full backup; each further one is an
object: `{"key", "size", "etag", "last_modified", "version_id", "digest"}`.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from databases.engines.base import Readable
from databases.engines.s3_bucket.tarformat import SCHEMA_VERSION, line
from jobs.errors import BackupError

_BLOCK = 256 << 10
_LONGEST_LINE = 64 << 10


@dataclass(frozen=True, slots=True)
class Entry:
    """An object as a backup holds it. `etag` without quotes, `version_id` empty where there are none.

    `digest` is that of proof.py, empty in an index of before."""

    key: str
    size: int
    etag: str
    last_modified: str
    version_id: str
    digest: str = ""


def head_line(chain: int) -> bytes:
    return line({"schema_version": SCHEMA_VERSION, "chain": chain})


def entry_line(entry: Entry) -> bytes:
    return line(asdict(entry))


class IndexReader:
    """Goes through the entries once. Raises BackupError(code="index_corrupt"), and whatever the source raises."""

    def __init__(self, source: Readable) -> None:
        self._lines = _lines(source)
        head = _parsed(next(self._lines, b""))
        if head.get("schema_version") != SCHEMA_VERSION or not isinstance(head.get("chain"), int):
            raise _corrupt()
        self.chain: int = head["chain"]

    def __iter__(self) -> Iterator[Entry]:
        previous = None
        for text in self._lines:
            try:
                entry = Entry(**_parsed(text))
            except TypeError as error:
                raise _corrupt() from error
            if previous is not None and entry.key <= previous:
                raise _corrupt()
            previous = entry.key
            yield entry


def _lines(source: Readable) -> Iterator[bytes]:
    buffer, held = bytearray(_BLOCK), b""
    while True:
        count = source.readinto(buffer)
        found = (held + buffer[:count]).split(b"\n")
        held = found.pop()
        yield from found
        if len(held) > _LONGEST_LINE:
            raise _corrupt()
        if count < _BLOCK:
            break
    if held:
        raise _corrupt()


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise _corrupt() from error
    if not isinstance(value, dict):
        raise _corrupt()
    return value


def _corrupt() -> BackupError:
    return BackupError(
        "The index of the backup cannot be read.",
        code="index_corrupt",
        permanent=True,
        hint="Make a full backup; a restore does without the index.",
    )
