"""Databases with completed backups whose artefacts really lie at a destination; no server is needed for these."""

import hashlib
import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from backups.destinations import open_storage
from backups.models import Backup, Copy, Destination
from backups.storage.readers import BytesReader
from databases.models import Database
from jobs.models import Status
from packages.models import Package
from packages.selectors import stored_copy
from packages.services.request import request_package
from tests.room import finish, local_destination

Store = Callable[..., Backup]


@pytest.fixture
def disk(transactional_db: None, tmp_path: Path, settings: Any) -> Destination:
    settings.BACKUPSITE_MAX_ATTEMPTS = 1
    return local_destination(tmp_path / "disk")


@pytest.fixture
def store(disk: Destination) -> Store:
    """`store("shop", b"...")` is a completed backup of the Database `shop`, which is packaged, and its artefact."""

    def make(pk: str, content: bytes, *, destination: Destination = disk, **values: Any) -> Backup:
        given = {"name": pk.capitalize(), "engine": "postgres", "package": True, "compression": "none"}
        database, _ = Database.objects.get_or_create(pk=pk, defaults=given)
        facts = {"size": len(content), "md5": hashlib.md5(content).hexdigest(), "sha256": _sha256(content)}
        number = Backup.objects.count()
        at = datetime(2026, 3, 1, 3, 0, number % 60, tzinfo=UTC)
        backup = Backup.objects.create(
            **{
                "database": database,
                "database_name": database.name,
                "engine": "postgres",
                "status": Status.COMPLETED,
                "compression": "none",
                "created_at": at,
                "finished_at": at,
                "original_size": len(content),
                "original_blake3": blake3(content).hexdigest(),
                "manifest": {"engine": {"format": "custom"}, "artefact": {"parents": []}},
                **facts,
                **values,
            }
        )
        key = f"{pk}/2026/03/{pk}_2026-03-01_03-00-00_{backup.pk}-1.dump"
        storage = open_storage(destination)
        storage.write(key, BytesReader(content))
        storage.write_text(f"{key}.manifest.json", json.dumps({"backup": {"id": backup.pk}}))
        Copy.objects.create(backup=backup, destination=destination, attempt=1, key=key, state=Copy.State.STORED)
        return backup

    return make


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def pack(**values: Any) -> Package:
    """Asks for a package, runs it in this process, and returns its row as it ended."""
    return finish(request_package(**values))


def name_in(backup: Backup) -> str:
    """The artefact's name in a package."""
    return f"{backup.database_id}/{Path(backup.copies.get().key).name}"


def fetch(package: Package, folder: Path) -> Path:
    """The package as a file, as an operator would download it."""
    copy = stored_copy(package)
    path = folder / Path(copy.key).name
    block = bytearray(1 << 20)
    with open_storage(copy.destination).open_stream(copy.key) as stored, path.open("wb") as file:
        while count := stored.readinto(block):
            file.write(memoryview(block)[:count])
    return path


def unpack(package: Package, folder: Path) -> Path:
    """The folder that the stock tool unpacks it into."""
    archive, into = fetch(package, folder), folder / f"unpacked-{package.pk}"
    into.mkdir()
    unzip, untar = ["unzip", "-q", str(archive), "-d", str(into)], ["tar", "-xzf", str(archive), "-C", str(into)]
    command = unzip if package.compression == "zip" else untar
    subprocess.run(command, check=True)
    return into


def files_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def objects(folder: Path) -> set[str]:
    """What lies at a local destination below `packages/`, unfinished files included."""
    return {name for name in files_of(folder) if name.startswith("packages/")}
