"""Artefacts made by hand, sound ones and hostile ones, as bytes."""

import hashlib
import json
import tarfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from databases.engines.s3_bucket import tarformat
from tests.contracts.engines import BytesSource

AT = datetime(2026, 3, 1, tzinfo=UTC)
MANIFEST = {"type": "full", "prefix": ""}


def facts(key: str, body: bytes, **values: Any) -> tarformat.Facts:
    etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
    given = {"version_id": "", "last_modified": "2026-03-01T00:00:00Z", "content_type": "text/plain"}
    return tarformat.Facts(**{"key": key, "size": len(body), "etag": etag, **given, **values})


def member(found: tarformat.Facts, body: bytes, name: str = "") -> bytes:
    return tarformat.header(name or found.key, found) + body + tarformat.padding(len(body))


def own(name: str, content: bytes) -> bytes:
    return tarformat.own_header(name, len(content), AT) + content + tarformat.padding(len(content))


def raw(name: str, kind: bytes, *, size: int = 0, linkname: str = "", pax: bytes = b"") -> bytes:
    """A header of any type."""
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, linkname
    return info.tobuf(format=tarfile.GNU_FORMAT, encoding="utf-8", errors="strict") + pax


@dataclass
class Artefact:
    """Put together piece by piece; `data` closes it with its manifest, summary and end."""

    pieces: bytearray = field(default_factory=bytearray)
    lines: bytearray = field(default_factory=bytearray)
    manifests: int = 0
    objects: int = 0
    size: int = 0
    voided: int = 0

    def add(self, key: str, body: bytes, *, name: str = "", voided: bool = False, **values: Any) -> "Artefact":
        found = facts(key, body, **values)
        self.pieces += member(found, body, name)
        digest = hashlib.sha256(body).hexdigest()
        self.lines += tarformat.manifest_line(found, name=name or key, sha256=digest, voided=voided)
        if voided:
            self.voided += 1
            self.flush()
        else:
            self.objects += 1
            self.size += len(body)
        return self

    def piece(self, data: bytes) -> "Artefact":
        self.pieces += data
        return self

    def flush(self) -> None:
        self.manifests += 1
        self.pieces += own(tarformat.MANIFEST.format(self.manifests), bytes(self.lines))
        self.lines.clear()

    def data(self, **summary: Any) -> bytes:
        self.flush()
        told = {"schema_version": 1, "objects": self.objects, "bytes": self.size, "voided": self.voided, "deleted": 0}
        text = json.dumps({**told, "manifests": self.manifests, **summary}).encode()
        return bytes(self.pieces) + own(tarformat.SUMMARY, text) + tarformat.END

    def source(self, **summary: Any) -> BytesSource:
        return BytesSource(self.data(**summary), MANIFEST)
