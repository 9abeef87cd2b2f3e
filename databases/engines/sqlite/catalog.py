"""What a database holds: tables, exact counts, hashes of their rows, and its schema."""

import sqlite3
from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import Any

MOST_ROWS = 100_000  # of a table whose rows are hashed
MOST_IN_ALL = 1_000_000
RING = 1 << 128


@dataclass(frozen=True)
class Contents:
    """`hashes` are of whole tables, None where there are too many rows; `schema` has a hash for each object."""

    counts: dict[str, int]
    hashes: dict[str, str | None]
    schema: dict[str, str]


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def tables(connection: sqlite3.Connection) -> list[str]:
    """Ordinary tables. A virtual one keeps its rows in ordinary ones, or nowhere."""
    found = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
        "AND upper(sql) NOT LIKE 'CREATE VIRTUAL %' ORDER BY name"
    )
    return [name.decode() for (name,) in found]


def count(connection: sqlite3.Connection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {quoted(table)}").fetchone()[0])


def contents(connection: sqlite3.Connection) -> Contents:
    counts = {table: count(connection, table) for table in tables(connection)}
    hashes: dict[str, str | None] = {}
    left = MOST_IN_ALL
    for table, rows in counts.items():
        fits = rows <= min(MOST_ROWS, left)
        hashes[table] = hash_of(connection, table) if fits else None
        left -= rows if fits else 0
    return Contents(counts, hashes, schema(connection))


def hash_of(connection: sqlite3.Connection, table: str) -> str:
    """The same in whatever order the rows come, which is SQLite's to choose."""
    total = 0
    for row in connection.execute(f"SELECT * FROM {quoted(table)}"):
        total += int.from_bytes(blake2b(repr(row).encode(), digest_size=16).digest())
    return f"{total % RING:032x}"


def schema(connection: sqlite3.Connection) -> dict[str, str]:
    """`table x`, `index y`, `view z`, `trigger t`, each with a hash of its definition."""
    found = connection.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
        "ORDER BY type, name"
    )
    return {f"{kind.decode()} {name.decode()}": sha256(sql).hexdigest()[:32] for kind, name, sql in found}


def pragma(connection: sqlite3.Connection, name: str) -> Any:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]
