"""A service for tests of the faces: an engine with collections and records that never runs."""

import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any, ClassVar

import backupsite.urls  # noqa: F401  the API's schema is made of the real engines, before this one joins them
from backups.destinations import open_storage
from backups.models import Backup, Destination
from backups.pipeline.encode import encode
from backups.pipeline.encoding import Encoding
from databases.engines.base import Engine
from databases.models import Database
from tests.api import make_backup


class Records(Engine):
    """Its faces only; what talks to a service is left abstract, and no test gets there."""

    kind: ClassVar[str] = "records"
    label: ClassVar[str] = "Records"
    supports: ClassVar[frozenset[str]] = frozenset({"full", "selective", "incremental", "restore"})

    @classmethod
    def collections(cls, options: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(options["collections"])

    @classmethod
    def records(cls, plain: bytes, manifest: Mapping[str, Any]) -> list[Any]:
        return [json.loads(line) for line in plain.splitlines()]


def stored_records(database: Database, destination: Destination, plain: bytes, **values: Any) -> Backup:
    """A completed backup whose artefact really lies in the destination."""
    recipients = tuple(values.pop("recipients", ()))
    backup = make_backup(
        database, destination=destination, encryption="age" if recipients else "none", compression="zstd", **values
    )
    with encode(BytesIO(plain), encoding=Encoding(recipients=recipients)) as reader:
        open_storage(destination).write(backup.copies.get().key, reader)
        digests = reader.digests
    facts = {name: getattr(digests, name) for name in ("original_size", "original_blake3", "size", "md5", "sha256")}
    Backup.objects.filter(pk=backup.pk).update(**facts)
    backup.refresh_from_db()
    return backup
