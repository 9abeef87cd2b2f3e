"""What an export holds, file by file: the collections and media of every source, an index, and a README."""

import hashlib
import json
import unicodedata
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backups.pipeline.archive import Entry
from exports.models import Export
from exports.sources.base import Part, ReadRequest, UserSource
from jobs.errors import BackupError
from jobs.lease import Lease

SCHEMA_VERSION = 1
INDEX, NOTES = "index.json", "README.txt"


@dataclass(frozen=True)
class Asked:
    """One source, and which of its collections are wanted (none: all)."""

    id: str
    name: str
    source: UserSource
    select: tuple[str, ...] = ()


class Contents:
    """Read once, from the first file to the last; after that `facts` says what there was.

    Nothing here asks the site's database: the files are read in another thread.
    """

    def __init__(
        self, *, export: Export, asked: Sequence[Asked], parent: Any, max_bytes: int, made_at: datetime, lease: Lease
    ) -> None:
        self._export, self._asked, self._made_at, self._lease = export, asked, made_at, lease
        before: dict[str, dict[str, Any]] = (parent.manifest if parent else {}).get("continue", {})
        kinds = {one.id: one.source.kind for one in asked}
        # A source may have been deleted, and another one made under its id.
        self._parent = {key: facts for key, facts in before.items() if facts.get("kind") == kinds.get(key)}
        self._max_bytes = max_bytes
        self._parent_id = parent.pk if parent else None
        self._files: list[dict[str, Any]] = []
        self._names: set[str] = set()
        self._sources: list[dict[str, Any]] = []
        self._continue: dict[str, Any] = {}
        self.size = 0

    @property
    def file_count(self) -> int:
        return len(self._names)

    def facts(self) -> dict[str, Any]:
        """For the row: the index without the addresses of files, and what the next incremental continues from."""
        files = [{name: value for name, value in file.items() if name != "url"} for file in self._files]
        sources = [{name: value for name, value in one.items() if name != "media"} for one in self._sources]
        return {"index": {**self.index(), "files": files, "sources": sources}, "continue": self._continue}

    def entries(self) -> Generator[Entry, None, None]:
        for asked in self._asked:
            yield from self._of(asked)
        yield self._text(INDEX, json.dumps(self.index(), indent=2, sort_keys=True) + "\n")
        yield self._text(NOTES, self._notes())

    def index(self) -> dict[str, Any]:
        """index.json; docs/exports.md specifies it."""
        export = self._export
        return {
            "schema_version": SCHEMA_VERSION,
            "export": {
                "id": export.pk,
                "pubkey": export.pubkey,
                "type": export.type,
                "made_at": self._made_at.isoformat(),
                "continues": self._parent_id,
                "metadata": export.metadata,
            },
            "sources": self._sources,
            "files": self._files,
        }

    def _of(self, asked: Asked) -> Iterator[Entry]:
        lease = self._lease
        request = ReadRequest(self._export.pubkey, lease, asked.select, self._parent.get(asked.id))
        with asked.source.read(request) as reading:
            for part in reading:
                name = self._claimed(f"{asked.id}/{safe_name(part.name)}")
                yield Entry(name, None, self._made_at, self._measured(name, part), deflate=not part.packed)
            facts = dict(reading.facts)
        self._continue[asked.id] = {"kind": asked.source.kind, "collections": facts.get("collections", {})}
        self._sources.append({"id": asked.id, "name": asked.name, "kind": asked.source.kind, **_shown(facts)})
        lease.log(f"{asked.id}: read")

    def _measured(self, name: str, part: Part) -> Iterator[bytes]:
        sha256, size = hashlib.sha256(), 0
        for block in part.blocks:
            sha256.update(block)
            size += len(block)
            self._count(len(block))
            yield block
        self._files.append({"name": name, "size": size, "sha256": sha256.hexdigest(), **part.facts})

    def _count(self, size: int) -> None:
        self.size += size
        if self._max_bytes and self.size > self._max_bytes:
            raise BackupError(
                f"There is more than {self._max_bytes} bytes of data.",
                code="too_large",
                permanent=True,
                hint="Ask for a selective or an incremental export, or ask the operator for more room.",
            )

    def _claimed(self, name: str) -> str:
        """The name, or the next one like it: systems that do not tell small letters from large ones would lose one."""
        stem, dot, end = name.rpartition(".")
        number, free = 1, name
        while _folded(free) in self._names:
            number += 1
            free = f"{stem}~{number}{dot}{end}"
        self._names.add(_folded(free))
        return free

    def _text(self, name: str, text: str) -> Entry:
        content = text.encode()
        self._names.add(name)
        self.size += len(content)
        return Entry(name, len(content), self._made_at, [content], deflate=True)

    def _notes(self) -> str:
        lines = [
            f"An export of the data of {self._export.pubkey}, made {self._made_at:%Y-%m-%d %H:%M:%S} UTC.",
            "",
            "Each .ndjson file is one collection: one record a line, as JSON (https://github.com/ndjson/ndjson-spec).",
            f"{INDEX} lists every file with its size, its SHA-256 and, for collections, its count of records, and",
            "says of each source what was asked, and who did not answer. `sha256sum FILE` compares.",
        ]
        if self._parent_id:
            lines += ["", f"This one is incremental: it holds what is new since the export {self._parent_id}."]
        for found in self._files:
            records = f"{found['records']} records, " if "records" in found else ""
            lines.append(f"  {found['name']}: {records}{found['size']} bytes")
        return "\n".join(lines) + "\n"


def safe_name(name: str) -> str:
    """A relative path that unpacks inside its folder on every system: other characters become `_`."""
    parts = [_safe(part) for part in name.split("/")]
    return "/".join(part for part in parts if part)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _safe(part: str) -> str:
    kept = "".join(letter if letter.isalnum() or letter in " .-_+@" else "_" for letter in part)
    return kept.strip(" .") or "_"


def _shown(facts: dict[str, Any]) -> dict[str, Any]:
    """What the user sees of a source's facts: not what only the next incremental needs."""
    collections: Iterable[tuple[str, dict[str, Any]]] = facts.get("collections", {}).items()
    shown = {name: {key: value for key, value in one.items() if key != "continue"} for name, one in collections}
    return {**{key: value for key, value in facts.items() if key != "continue"}, "collections": shown}
