"""Reading a stored archive to its end, into every document. There is no tool that does it without a server."""

from collections.abc import Mapping
from typing import Any

from bson import CodecOptions, decode
from bson.codec_options import DatetimeConversion
from bson.errors import InvalidBSON

from databases.engines.base import Guard, Readable, Source
from databases.engines.feed import drain
from databases.engines.mongodb.archive import Archive, damaged
from databases.engines.mongodb.structure import MongoStructure

# Whatever a server can hold: years beyond Python's, text that is not UTF-8.
CODEC: CodecOptions[dict[str, Any]] = CodecOptions(
    unicode_decode_error_handler="replace", datetime_conversion=DatetimeConversion.DATETIME_MS
)


class Watched:
    """A source that shows its blocks to a structure check, whose verdict stands before the source's end."""

    def __init__(self, source: Readable, structure: MongoStructure) -> None:
        self._source, self._structure = source, structure
        self.facts: Mapping[str, Any] = {}

    def readinto(self, buffer: bytearray | memoryview) -> int:
        count = self._source.readinto(buffer)
        self._structure.feed(memoryview(buffer)[:count])
        if count < len(buffer):
            self.facts = self._structure.finish()
        return count


def verify_structure(source: Source, guard: Guard) -> Mapping[str, Any]:
    """What the check in flight proves, every document's inner structure, and the manifest's counts.

    Raises BackupError(code="structure").
    """
    watched = Watched(source, MongoStructure(source.manifest, Archive(document=_require_sound)))
    drain(watched, guard.check)
    return watched.facts


def _require_sound(document: bytes) -> None:
    try:
        decode(document, CODEC)
    except InvalidBSON as error:
        raise damaged("A document of the archive is no sound BSON.") from error
