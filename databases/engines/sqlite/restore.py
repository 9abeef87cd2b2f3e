"""Put a copy in the place of a file: written beside it, looked at, then renamed over it."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from databases.engines.base import Guard, Readable, RestoreReport, RestoreRequest, Source
from databases.engines.sqlite.catalog import count, tables
from databases.engines.sqlite.options import SqliteOptions, allowed_file, is_own
from databases.engines.sqlite.session import VERSION, fault_of, reading
from databases.engines.sqlite.structure import HeaderStructure, damaged
from jobs.errors import BackupError

BLOCK = 1 << 20
BESIDE = ("-wal", "-shm", "-journal")


def restore(
    options: SqliteOptions, settings: Mapping[str, Any], chain: Sequence[Source], request: RestoreRequest
) -> RestoreReport:
    target = allowed_file(options, settings)
    _require_free(target, settings, request)
    with _written_beside(target) as (file, beside):
        copy_checked(chain[-1], file, beside, request.guard)
        with reading(beside, request.guard, still=True) as connection:
            counts: dict[str, int | None] = {name: count(connection, name) for name in tables(connection)}
        request.guard.check()
        notes = _replace(beside, target)
    return RestoreReport(tool_version=f"SQLite {VERSION}", counts=counts, notes=notes)


def copy_checked(source: Readable, file: IO[bytes], path: Path, guard: Guard) -> None:
    """The whole stream into the file, and SQLite's own word that it is sound.

    Raises BackupError(code="structure"), and what the source raises at its end.
    """
    structure, block = HeaderStructure(), memoryview(bytearray(BLOCK))
    while True:
        guard.check()
        size = source.readinto(block)
        structure.feed(block[:size])
        file.write(block[:size])
        if size < BLOCK:
            break
    structure.finish()
    file.flush()
    os.fsync(file.fileno())
    with reading(path, guard, still=True) as connection:
        found = [text.decode() for (text,) in connection.execute("PRAGMA integrity_check(10)")]
    if found != ["ok"]:
        raise damaged(f"SQLite finds it damaged: {found[0]}")


def _require_free(target: Path, settings: Mapping[str, Any], request: RestoreRequest) -> None:
    if is_own(target, settings):
        raise BackupError(
            "This is the database of the running site.",
            code="own_database",
            permanent=True,
            hint="docs/disaster-recovery.md says how a stopped site gets its rows back.",
        )
    if not target.parent.is_dir():
        raise BackupError("There is no such folder.", code="unreachable", permanent=True, hint="Make it first.")
    if target.exists() and target.stat().st_size and not request.drop_existing:
        raise BackupError(
            "The file is there and holds something.",
            code="target_not_empty",
            permanent=True,
            hint="Restore to another path, or ask for drop_existing to replace it.",
        )


@contextmanager
def _written_beside(target: Path) -> Iterator[tuple[IO[bytes], Path]]:
    """A file of one fixed name, so that what a killed restore left is found and replaced by the next one."""
    path = target.with_name(f".{target.name}.backupsite-restore")
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError("Another restore writes this file.", code="target_in_use") from None
        try:
            file.truncate(0)
            yield file, path
        finally:
            path.unlink(missing_ok=True)


def _replace(beside: Path, target: Path) -> tuple[str, ...]:
    """Renames; with the mode and owner of the old file, and without the journals that belonged to it."""
    notes: tuple[str, ...] = ("A program that had the old file open has to be started again.",)
    if not target.exists():
        notes = ()
    else:
        old = target.stat()
        _empty_journals(target)
        os.chmod(beside, old.st_mode & 0o777)
        try:
            os.chown(beside, old.st_uid, old.st_gid)
        except PermissionError:
            notes += ("The file belongs to the worker's user now: it may not be given away.",)
    for ending in BESIDE:
        Path(f"{target}{ending}").unlink(missing_ok=True)
    os.rename(beside, target)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return notes


def _empty_journals(target: Path) -> None:
    """Needs the file for itself: raises BackupError(code="target_in_use") while a program writes it or has its WAL."""
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(target, timeout=1, isolation_level=None)) as old:
        try:
            old.execute("PRAGMA locking_mode=EXCLUSIVE")
            old.execute("BEGIN EXCLUSIVE")
            old.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if fault_of(error).code == "locked":
                raise BackupError(
                    "A program uses the file.",
                    code="target_in_use",
                    permanent=True,
                    hint="Stop it: it would go on with the old file, and what it writes would be lost.",
                ) from error
