"""What a drill's restore has written, so that a difference can be named: on disk, as in seen.py."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from databases.engines.s3_bucket.objects import Object
from databases.engines.s3_bucket.proof import Groups, carried, digest, key_hash
from jobs.errors import BackupError


@dataclass(frozen=True)
class Written:
    key: str
    size: int
    sha256: str
    carries: str


class Record:
    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.execute(
            "CREATE TABLE written "
            "(hash BLOB PRIMARY KEY, key BLOB, size INTEGER, sha256 TEXT, carries TEXT, found INTEGER) WITHOUT ROWID"
        )
        database.execute("BEGIN")

    def add(self, found: Object, sha256: str) -> None:
        values = (key_hash(found.key), found.key.encode(), found.size, sha256, carried(found), False)
        self._database.execute("INSERT OR REPLACE INTO written VALUES (?, ?, ?, ?, ?, ?)", values)

    def drop(self, key: str) -> None:
        self._database.execute("DELETE FROM written WHERE hash = ?", (key_hash(key),))

    def find(self, hashed_key: bytes) -> Written | None:
        query = "SELECT key, size, sha256, carries FROM written WHERE hash = ?"
        row = self._database.execute(query, (hashed_key,)).fetchone()
        return Written(row[0].decode(), *row[1:]) if row else None

    def forget_found(self) -> None:
        self._database.execute("UPDATE written SET found = FALSE WHERE found")

    def mark_found(self, hashed_key: bytes) -> None:
        self._database.execute("UPDATE written SET found = TRUE WHERE hash = ?", (hashed_key,))

    def lost(self) -> Iterator[Written]:
        query = "SELECT key, size, sha256, carries FROM written WHERE NOT found ORDER BY key"
        for row in self._database.execute(query):
            yield Written(row[0].decode(), *row[1:])

    def groups(self) -> Groups:
        found = Groups()
        for hashed, *values in self._database.execute("SELECT hash, size, sha256, carries FROM written"):
            found.add(hashed, digest(hashed, *values))
        return found


@contextmanager
def recording() -> Iterator[Record]:
    try:
        # An empty name is SQLite's private temporary file.
        with closing(sqlite3.connect("", isolation_level=None, check_same_thread=False)) as database:
            yield Record(database)
    except sqlite3.OperationalError as error:
        raise BackupError(
            f"The keys of this drill cannot be kept in a temporary file: {error}.",
            code="no_space",
            hint="Free some space in the folder of temporary files (TMPDIR).",
        ) from error
