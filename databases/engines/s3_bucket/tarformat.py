"""The artefact: one POSIX pax tar. docs/artefact.md specifies it; this module makes names, headers and lines.

Members come in the order of the keys. An object that changed while it was read is padded with zeros, and at once
follow a manifest member that calls it voided and then the object's new copy under the same name, if it still exists.
"""

import hashlib
import json
import tarfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote

SCHEMA_VERSION = 1
EXTENSION = ".tar"
BLOCK = tarfile.BLOCKSIZE
END = b"\0" * (2 * BLOCK)

OWN = ".backupsite/"  # members that are no objects
ESCAPED = OWN + "escaped/"
MANIFEST = OWN + "manifest-{:06d}.ndjson"
SUMMARY = OWN + "summary.json"

# Names of the pax headers.
KEY = "BACKUPSITE.key"  # percent-encoded UTF-8
ETAG = "BACKUPSITE.etag"  # without its quotes
VERSION_ID = "BACKUPSITE.version_id"  # empty where the bucket keeps no versions
CONTENT_TYPE = "BACKUPSITE.content_type"
META = "BACKUPSITE.meta"  # JSON: {"user": {name: value}, "headers": {name of HEADERS: value}}

HEADERS = ("cache_control", "content_disposition", "content_encoding", "content_language", "expires")
SMALL = 8 << 20  # objects up to here are read whole before their header is written
LONGEST_SEGMENT = 255


@dataclass(frozen=True)
class Facts:
    """An object as it was really read. `last_modified` is ISO 8601 in UTC; `etag` has no quotes.

    `metadata` is `{"user": {...}, "headers": {...}}`, see META, without those that are empty. `expires` in it is the
    header's own text.
    """

    key: str
    size: int
    etag: str
    version_id: str
    last_modified: str
    content_type: str
    metadata: dict[str, dict[str, str]] = field(default_factory=dict)


def encode_key(key: str) -> str:
    return quote(key, safe="/-_.~")


def decode_key(text: str) -> str:
    """Raises UnicodeDecodeError."""
    return unquote(text, errors="strict")


def is_safe_name(key: str) -> bool:
    """Whether `tar -x` writes a member of this name exactly there, inside its folder."""
    if not key or key == OWN[:-1] or key.startswith(OWN) or "\\" in key:
        return False
    if any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in key):
        return False
    segments = key.split("/")
    return all(part not in ("", ".", "..") and len(part.encode()) <= LONGEST_SEGMENT for part in segments)


class Names:
    """Gives members their names, asked for in the order of the keys.

    A key is its own name, except where `tar -x` cannot write it: unsafe ones, and `a/b` after a file `a`. Keys that
    begin with `a` follow `a` without a gap, so the files that may be in the way are a stack of the current key's own
    beginnings: at most as many as a key has characters.
    """

    def __init__(self) -> None:
        self._files: list[str] = []

    def name_of(self, key: str) -> str:
        files = self._files
        while files and not key.startswith(files[-1]):
            files.pop()
        if not is_safe_name(key) or any(key[len(file)] == "/" for file in files if len(file) < len(key)):
            return escaped_name(key)
        files.append(key)
        return key


def escaped_name(key: str) -> str:
    return ESCAPED + hashlib.sha256(key.encode()).hexdigest()


def header(name: str, facts: Facts) -> bytes:
    """The headers in front of an object's bytes."""
    return _header(name, facts.size, int(datetime.fromisoformat(facts.last_modified).timestamp()), _pax(facts))


def own_header(name: str, size: int, at: datetime) -> bytes:
    """The header of a manifest or summary member."""
    return _header(name, size, int(at.timestamp()), {})


def padding(size: int) -> bytes:
    """What follows `size` bytes of a member up to the next block."""
    return b"\0" * (-size % BLOCK)


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def iso_text(text: str) -> str:
    """A store's spelling of a time, in ours. Raises ValueError."""
    return iso(datetime.fromisoformat(text))


def line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def manifest_line(facts: Facts, *, name: str, sha256: str, voided: bool) -> bytes:
    value: dict[str, Any] = {
        "key": facts.key,
        "size": facts.size,
        "etag": facts.etag,
        "version_id": facts.version_id,
        "last_modified": facts.last_modified,
        "content_type": facts.content_type,
        "metadata": facts.metadata,
        "sha256": sha256,
        "member": None if name == facts.key else name,
    }
    return line(value | {"voided": True} if voided else value)


def deleted_line(key: str) -> bytes:
    return line({"key": key, "deleted": True})


def _pax(facts: Facts) -> dict[str, str]:
    values = {
        KEY: encode_key(facts.key),
        ETAG: facts.etag,
        VERSION_ID: facts.version_id,
        CONTENT_TYPE: facts.content_type,
        META: json.dumps(facts.metadata, separators=(",", ":")) if facts.metadata else "",
    }
    # An empty value would mean that the header is deleted.
    return {name: value for name, value in values.items() if value}


def _header(name: str, size: int, mtime: int, pax: dict[str, str]) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode, info.pax_headers = size, max(mtime, 0), 0o644, pax
    return info.tobuf(format=tarfile.PAX_FORMAT, encoding="utf-8", errors="strict")
