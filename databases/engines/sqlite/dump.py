"""A consistent copy by SQLite's own online backup, in a private file, and from there a stream."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any

from databases.engines.base import DumpRequest, Guard
from databases.engines.folder import secret_folder
from databases.engines.sqlite.catalog import contents, pragma, tables
from databases.engines.sqlite.options import SqliteOptions, allowed_file
from databases.engines.sqlite.session import VERSION, reading
from jobs.errors import BackupError

PREFIX = "backupsite-sqlite-"
PAGES = 2048  # copied between two looks at the job


def preflight(options: SqliteOptions, settings: Mapping[str, Any], request: DumpRequest) -> None:
    if request.type != "full":
        raise BackupError(
            f"SQLite databases have no {request.type} backups.",
            code="unsupported",
            permanent=True,
            hint="Ask for a full one.",
        )
    with reading(allowed_file(options, settings)) as connection:
        require_tables(connection)


def require_tables(connection: sqlite3.Connection) -> None:
    if not tables(connection):
        raise BackupError(
            "The file holds no table.",
            code="nothing_there",
            permanent=True,
            hint="An empty file is made by whatever opens a wrong path: look at the path.",
        )


class FileDump:
    extension = ".sqlite3"

    def __init__(self, file: IO[bytes], size: int, manifest: Mapping[str, Any], guard: Guard) -> None:
        self.bytes_total_estimate: int | None = size
        self.manifest = manifest
        self._file = file
        self._guard = guard

    def abort(self) -> None:
        """A file never waits."""

    def readinto(self, buffer: bytearray | memoryview) -> int:
        self._guard.check()
        view, done = memoryview(buffer), 0
        while done < len(view) and (count := self._file.readinto(view[done:])):  # type: ignore[attr-defined]
            done += count
        return done


@contextmanager
def dump(options: SqliteOptions, settings: Mapping[str, Any], request: DumpRequest) -> Iterator[FileDump]:
    preflight(options, settings, request)
    with secret_folder(PREFIX, parent=settings.get("sqlite_temporary", "")) as folder:
        copy = folder / "copy.sqlite3"
        _copy(allowed_file(options, settings), copy, request.guard)
        manifest = _facts(copy, request.guard)
        with copy.open("rb", buffering=0) as file:
            yield FileDump(file, copy.stat().st_size, manifest, request.guard)


def _copy(path: Path, copy: Path, guard: Guard) -> None:
    """Of one moment: the read transaction keeps it while others write, where SQLite would begin again and again."""
    copy.touch(mode=0o600)
    with reading(path, guard) as source, closing(sqlite3.connect(copy)) as target:
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
        target.execute("PRAGMA synchronous=OFF")
        source.backup(target, pages=PAGES, progress=lambda status, remaining, total: guard.check())


def _facts(copy: Path, guard: Guard) -> dict[str, Any]:
    """Of the very copy that is streamed."""
    with reading(copy, guard, still=True) as connection:
        found = contents(connection)
        return {
            "format": "sqlite3",
            "server_version": VERSION,
            "tool_version": f"SQLite {VERSION}",
            "user_version": pragma(connection, "user_version"),
            "application_id": pragma(connection, "application_id"),
            "page_size": pragma(connection, "page_size"),
            "counts": found.counts,
            "hashes": found.hashes,
            "schema": found.schema,
        }
