"""A small real database with one good backup of it, on local disk."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backups.models import Backup, Destination
from databases.models import Database
from jobs.models import Status
from tests.room import back_up, local_destination, register
from tests.servers.postgres import PostgresServer


@dataclass
class Site:
    """One Database with one completed backup; `folder` is its destination."""

    server: PostgresServer
    database: Database
    good: Backup
    destination: Destination
    folder: Path

    def objects(self) -> set[str]:
        """Names of all stored files but the folder's own marker, unfinished ones included."""
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()} - {
            ".backupsite-destination"
        }

    def keys_of(self, backup: Backup) -> set[str]:
        key = backup.copies.get().key
        return {key, f"{key}.manifest.json"}


@pytest.fixture
def site(
    transactional_db: None,
    postgres: Callable[[int], PostgresServer],
    fresh_database: Callable[[PostgresServer], str],
    tmp_path: Path,
    settings: Any,
) -> Site:
    server = postgres(18)
    settings.BACKUPSITE_ENGINE_SETTINGS = {"pg_bin_dirs": [str(server.bin_dir)]}
    settings.BACKUPSITE_MAX_ATTEMPTS = 1
    name = fresh_database(server)
    server.psql(
        "CREATE TABLE item (id int PRIMARY KEY, note text);"
        "INSERT INTO item SELECT n, md5(n::text) FROM generate_series(1, 50000) n;",
        name,
    )
    destination = local_destination(tmp_path / "disk")
    database = register(server, name)
    good = back_up(database)
    assert good.status == Status.COMPLETED, good.error_message
    return Site(server, database, good, destination, tmp_path / "disk")
