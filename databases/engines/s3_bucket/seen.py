"""Which keys a restore has met: on disk, for a bucket has more of them than memory should hold."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from jobs.errors import BackupError


class Seen:
    """Keys by the part of the chain that said something about them, newest part first: its word holds."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.execute("CREATE TABLE seen (key BLOB PRIMARY KEY, part INTEGER, there INTEGER) WITHOUT ROWID")
        database.execute("BEGIN")

    def is_decided(self, key: str, part: int) -> bool:
        """Whether a part other than this one, a newer one then, has replaced or deleted the key."""
        found = self._database.execute("SELECT part FROM seen WHERE key = ?", (key.encode(),)).fetchone()
        return found is not None and found[0] != part

    def add(self, key: str, part: int, *, there: bool) -> None:
        """`there` is whether the bucket held the object when the part was made."""
        self._database.execute("INSERT OR REPLACE INTO seen VALUES (?, ?, ?)", (key.encode(), part, there))

    def is_there(self, key: str) -> bool:
        """Whether the chain's final state holds the key."""
        query = "SELECT 1 FROM seen WHERE key = ? AND there"
        return self._database.execute(query, (key.encode(),)).fetchone() is not None


@contextmanager
def seen_keys() -> Iterator[Seen]:
    # An empty name is SQLite's private temporary file: it spills there what its small cache does not hold.
    try:
        with closing(sqlite3.connect("", isolation_level=None)) as database:
            yield Seen(database)
    except sqlite3.OperationalError as error:
        raise BackupError(
            f"The keys of this restore cannot be kept in a temporary file: {error}.",
            code="no_space",
            hint="Free some space in the folder of temporary files (TMPDIR).",
        ) from error
