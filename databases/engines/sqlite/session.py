"""Connections to SQLite files: read only, interruptible, their faults in words."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from databases.engines.base import Guard
from jobs.errors import BackupError

BUSY_S = 20.0
STEPS = 20_000  # of SQLite's machine between two looks at the job: some milliseconds
VERSION = sqlite3.sqlite_version


@contextmanager
def reading(path: Path, guard: Guard | None = None, *, still: bool = False) -> Iterator[sqlite3.Connection]:
    """A read-only connection; texts come as bytes. `still` is for a file that nobody writes: it takes no lock.

    Raises BackupError: unreachable, not_a_database, locked, and what `guard.check` raises while a query runs.
    """
    if not path.is_file():
        raise BackupError(
            "There is no such file, or it may not be read.",
            code="unreachable",
            hint="Look at the path, at the mount, and at what the worker's user may read.",
        )
    query = "mode=ro&immutable=1" if still else "mode=ro"
    with _told(guard) as stopped, closing(_open(f"file:{quote(str(path))}?{query}")) as connection:
        connection.text_factory = bytes
        connection.isolation_level = None
        connection.execute("PRAGMA trusted_schema=OFF")
        if guard is not None:
            connection.set_progress_handler(stopped, STEPS)
        yield connection


def _open(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True, timeout=BUSY_S)


class _Stopped:
    """SQLite asks it between steps; what the job raises is kept, for SQLite itself only says `interrupted`."""

    def __init__(self, guard: Guard | None) -> None:
        self._guard = guard
        self.reason: Exception | None = None

    def __call__(self) -> int:
        try:
            if self._guard is not None:
                self._guard.check()
        except Exception as reason:  # noqa: BLE001  # raised again by `_told`
            self.reason = reason
            return 1
        return 0


@contextmanager
def _told(guard: Guard | None) -> Iterator[_Stopped]:
    stopped = _Stopped(guard)
    try:
        yield stopped
    except sqlite3.Error as error:
        if stopped.reason is not None:
            raise stopped.reason from None
        raise fault_of(error) from error


def fault_of(error: sqlite3.Error) -> BackupError:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return BackupError(
            "The database is locked by a program that uses it.",
            code="locked",
            hint="A program holds it for itself (locking_mode=EXCLUSIVE) or writes for very long.",
        )
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return BackupError(
            f"SQLite cannot read the file: {error}.",
            code="not_a_database",
            permanent=True,
            hint="It is no SQLite database, it is encrypted, or it is damaged (PRAGMA integrity_check).",
        )
    if name.startswith("SQLITE_FULL"):
        return BackupError("The disk is full.", code="disk_full", hint="Make room for a copy of the database.")
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_PERM")):
        return BackupError(
            f"SQLite cannot read or write the file: {error}.",
            code="unreachable",
            hint="In WAL mode whoever reads needs the -shm file beside it: the worker's user needs rights there.",
        )
    return BackupError(f"SQLite says: {error}.", code="sqlite")
