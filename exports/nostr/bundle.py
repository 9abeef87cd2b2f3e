"""The events in an export's zip, read as somebody else's: nothing is unpacked, nothing is believed, all is bounded.

Names in a zip are never paths here. A member is read only where index.json calls it a collection of a nostr source;
what it unpacks to is counted while it is read, and what is no event is counted, not raised.
"""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import SEEK_END
from typing import Any, BinaryIO

from exports.nostr.event import Event, parse_event, verify_event
from jobs.errors import BackupError

LARGEST_INDEX = 64 << 20
LONGEST_LINE = 4 << 20
MOST_FILES = 100_000  # names in the zip
MOST_RATIO = 1032  # what deflate can pack at most: files that lie over each other in the zip unpack to more
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_FAULTS = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError)


@dataclass
class Contents:
    """What was found. `files` says of each collection whether it is what index.json says."""

    files: list[dict[str, Any]] = field(default_factory=list)
    lines: int = 0
    invalid: int = 0  # no event, or not signed by its author
    foreign: int = 0  # of another author than the export's


class Bundle:
    """An export's zip, opened; `events` may be read once."""

    def __init__(self, file: BinaryIO) -> None:
        """Raises BackupError: not_an_export, and no_events where it has nothing of a nostr source."""
        self._size = file.seek(0, SEEK_END)
        try:
            self._zip = zipfile.ZipFile(_Bounded(file))
        except _FAULTS as error:
            raise _no_export("This is no zip.") from error
        self.contents = Contents()
        names = self._zip.namelist()
        if len(names) > MOST_FILES or len(set(names)) < len(names):
            self._zip.close()
            raise _no_export("Its list of files makes no sense.")
        index = self._index()
        self.pubkey: str = index["export"]["pubkey"]
        self._told = _collections(index)
        if not self._told:
            self._zip.close()
            raise BackupError(
                "There are no events in this export: none of its files is a collection of a nostr source.",
                code="no_events",
                permanent=True,
                hint="Only what came from relays can be put back; `sources` in its index.json says what it has.",
            )

    def close(self) -> None:
        self._zip.close()

    def events(self) -> Iterator[Event]:
        """Those that are true and the user's own. Raises BackupError(code="damaged") for a zip that is."""
        left = (self._size + 1) * MOST_RATIO
        for told in self._told:
            digest, size = hashlib.sha256(), 0
            try:
                if self._zip.getinfo(told["name"]).compress_type not in _METHODS:
                    raise zipfile.BadZipFile("packed in another way than exports are")
                with self._zip.open(told["name"]) as member:
                    while line := member.readline(LONGEST_LINE):
                        digest.update(line)
                        size += len(line)
                        if size > left:
                            raise _no_export("It unpacks to more than anything that was exported.")
                        event = self._true(line)
                        if event is not None:
                            yield event
            except (KeyError, *_FAULTS) as error:
                raise BackupError(
                    f"{told['name']!r} cannot be read to its end.",
                    code="damaged",
                    permanent=True,
                    hint="Fetch the export again: `unzip -t` says whether a zip is whole.",
                ) from error
            left -= size
            same = (size, digest.hexdigest()) == (told.get("size"), told.get("sha256"))
            self.contents.files.append({"name": told["name"], "size": size, "as_indexed": same})

    def _true(self, line: bytes) -> Event | None:
        self.contents.lines += 1
        try:
            event = parse_event(json.loads(line))
            verify_event(event)
        except (BackupError, ValueError, RecursionError):
            self.contents.invalid += 1
            return None
        if event.pubkey != self.pubkey:
            self.contents.foreign += 1
            return None
        return event

    def _index(self) -> dict[str, Any]:
        try:
            with self._zip.open("index.json") as member:
                text = member.read(LARGEST_INDEX + 1)
            index = json.loads(text) if len(text) <= LARGEST_INDEX else None
            if isinstance(index, dict) and isinstance(index["export"]["pubkey"], str):
                return index
        except (KeyError, TypeError, RecursionError, *_FAULTS) as error:
            self._zip.close()
            raise _no_export("It has no index.json that could be read.") from error
        self._zip.close()
        raise _no_export("Its index.json makes no sense.")


class _Bounded:
    """`zipfile` reads a zip's whole list of files at once, however long it says it is."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > LARGEST_INDEX:
            raise zipfile.BadZipFile("its list of files is too long")
        return self._file.read(size if size >= 0 else LARGEST_INDEX)


def _collections(index: dict[str, Any]) -> list[dict[str, Any]]:
    """What the index calls a collection of a nostr source, each name once."""
    sources, files = index.get("sources"), index.get("files")
    if not isinstance(sources, list) or not isinstance(files, list):
        return []
    nostr = {one.get("id") for one in sources if isinstance(one, dict) and one.get("kind") == "nostr"}
    found: dict[str, dict[str, Any]] = {}
    for one in files:
        name = one.get("name") if isinstance(one, dict) else None
        if isinstance(name, str) and name.endswith(".ndjson") and name.partition("/")[0] in nostr:
            found.setdefault(name, one)
    return list(found.values())


def _no_export(message: str) -> BackupError:
    return BackupError(message, code="not_an_export", permanent=True, hint="Give the zip of an export as it was made.")
