"""A sidecar -> the fields of a backup. What lies in a store may be cut, hostile or newer: everything is checked."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from backups.artefact import SCHEMA_VERSION, SIDECAR_SUFFIX, KeyParts, parts_of
from backups.models import Backup
from databases.engines import registry
from databases.models import Compression, Encryption
from jobs.errors import BackupError

LARGEST = 16 << 20  # bytes of a sidecar: some 100,000 tables
LONGEST_NAME = 200
MOST_BYTES = (1 << 63) - 1
HEX = re.compile(r"[0-9a-f]+")


@dataclass(frozen=True)
class Found:
    """An artefact as its sidecar describes it. `fields` are of a completed Backup; `parent` is a backup's id, or ''."""

    key: str
    parts: KeyParts
    size: int
    sha256: str
    parent: str
    fields: dict[str, Any]


def parse_sidecar(*, key: str, text: str) -> Found:
    """`key` is the artefact's. Raises BackupError(code="sidecar") with what is wrong, never quoting what it holds."""
    parts = parts_of(key)
    if parts is None:
        raise _fault("its key is none that a site gives")
    body = _Part(_document(text), "")
    version = body.number("schema_version", most=1 << 31)
    if version != SCHEMA_VERSION:
        raise _fault(f"it has schema version {version}; this site reads {SCHEMA_VERSION}: use a newer one")
    backup, database, artefact = body.part("backup"), body.part("database"), body.part("artefact")
    if (
        artefact.text("key", 1024) != key
        or backup.text("id", 40) != parts.run
        or database.text("id", 63) != parts.folder
    ):
        raise _fault("it describes another artefact than the one it lies beside")
    size, sha256 = artefact.number("size"), artefact.digest("sha256", 64)
    fields = {
        "database_id": parts.folder,
        "database_name": database.text("name", LONGEST_NAME, empty=False),
        "engine": database.choice("engine", registry.kinds()),
        "type": backup.choice("type", Backup.Type.values),
        "label": backup.text("label", LONGEST_NAME),
        "include": backup.texts("include"),
        "exclude": backup.texts("exclude"),
        "created_at": backup.time("created_at"),
        "size": size,
        "original_size": artefact.number("original_size"),
        "md5": artefact.digest("md5", 32),
        "sha256": sha256,
        "original_blake3": artefact.digest("original_blake3", 64),
        "compression": artefact.choice("compression", Compression.values),
        "encryption": artefact.choice("encryption", Encryption.values),
        "manifest": body.value,
        **_of_engine(body.part("engine")),
    }
    artefact.texts("recipients")
    artefact.part("index")
    parent = _parent(artefact.texts("parents"), fields)
    return Found(key, parts, size, sha256, parent, fields)


def _of_engine(facts: "_Part") -> dict[str, Any]:
    count = facts.value.get("file_count", 1)
    return {
        "file_count": count if isinstance(count, int) and 0 <= count < 1 << 31 else None,
        "server_version": str(facts.value.get("server_version", ""))[:63],
        "tool_version": str(facts.value.get("tool_version", ""))[:63],
    }


def _parent(keys: list[str], fields: dict[str, Any]) -> str:
    """The id of the backup it builds on, which the last key names."""
    if bool(keys) != (fields["type"] == Backup.Type.INCREMENTAL):
        raise _fault(f"a {fields['type']} backup cannot have {len(keys)} parents")
    named = [parts_of(key) for key in keys]
    if any(one is None or one.folder != fields["database_id"] for one in named):
        raise _fault("it builds on what is no backup of the same Database")
    return named[-1].run if named and named[-1] else ""


def _document(text: str) -> Any:
    try:
        body = json.loads(text)
        # What no database takes: halves of characters, numbers without end, the character NUL.
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise _fault("it is no whole JSON document") from error
    if "\\u0000" in text:
        raise _fault("it holds the character NUL")
    return body


def _fault(what: str) -> BackupError:
    return BackupError(f"The sidecar is not taken: {what}.", code="sidecar", permanent=True)


class _Part:
    """One object of the document; each question raises where the answer is not of the wanted shape."""

    def __init__(self, value: Any, name: str) -> None:
        if not isinstance(value, dict):
            raise _fault(f"'{name or 'the document'}' is no object")
        self.value: dict[str, Any] = value
        self._name = name

    def _wrong(self, name: str, wanted: str) -> BackupError:
        return _fault(f"'{self._name}.{name}' is no {wanted}".replace("'.", "'"))

    def part(self, name: str) -> "_Part":
        return _Part(self.value.get(name), name)

    def text(self, name: str, longest: int, *, empty: bool = True) -> str:
        value = self.value.get(name)
        if not isinstance(value, str) or len(value) > longest or not (value or empty):
            raise self._wrong(name, f"text of at most {longest} characters")
        return value

    def texts(self, name: str) -> list[str]:
        value = self.value.get(name)
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self._wrong(name, "list of texts")
        return value

    def number(self, name: str, *, most: int = MOST_BYTES) -> int:
        value = self.value.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            raise self._wrong(name, "number")
        return value

    def digest(self, name: str, length: int) -> str:
        value = self.value.get(name)
        if not isinstance(value, str) or len(value) != length or not HEX.fullmatch(value):
            raise self._wrong(name, "digest")
        return value

    def choice(self, name: str, choices: list[str]) -> str:
        value = self.value.get(name)
        if value not in choices:
            raise self._wrong(name, f"word of {', '.join(choices)}")
        return str(value)

    def time(self, name: str) -> datetime:
        try:
            value = datetime.fromisoformat(str(self.value.get(name)))
            return value.astimezone(UTC) if value.tzinfo else _naive()
        except (ValueError, OverflowError) as error:
            raise self._wrong(name, "time with its zone") from error


def _naive() -> datetime:
    raise ValueError("no zone")


def artefact_of(sidecar: str) -> str:
    return sidecar.removesuffix(SIDECAR_SUFFIX)
