"""What drills ask: a scratch file, a comparison with the manifest, answers to questions that change nothing."""

import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from databases.engines.base import Guard
from databases.engines.proof import MAX_DIFFERENCES, Comparison, Difference, ScratchRequest
from databases.engines.sqlite.catalog import Contents, contents
from databases.engines.sqlite.session import VERSION, reading
from jobs.errors import BackupError

READS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}


def scratch_folder(request: ScratchRequest) -> Path:
    return Path(request.settings.get("sqlite_temporary") or gettempdir()) / f"backupsite-drill-{request.name}"


@contextmanager
def scratch(request: ScratchRequest) -> Iterator[Path]:
    """A folder of its own; the file in it is still to be made."""
    folder = scratch_folder(request)
    folder.mkdir(mode=0o700, parents=True)
    try:
        yield folder / "scratch.sqlite3"
    finally:
        shutil.rmtree(folder)


def remove_scratch(request: ScratchRequest) -> None:
    shutil.rmtree(scratch_folder(request), ignore_errors=True)


def compare(path: Path, manifest: Mapping[str, Any], guard: Guard) -> Comparison:
    with reading(path, guard) as connection:
        found = contents(connection)
    pairs = [
        *_pairs("table", dict.fromkeys(manifest.get("counts", {}), True), dict.fromkeys(found.counts, True)),
        *_both("rows", manifest.get("counts", {}), found.counts),
        *_both("row_hash", _hashed(manifest), found.hashes),
        *_pairs("schema", manifest.get("schema", {}), found.schema),
    ]
    wrong = [one for one in pairs if one.expected != one.found]
    checked: dict[str, int] = {}
    for one in pairs:
        checked[one.kind] = checked.get(one.kind, 0) + 1
    return Comparison(checked, tuple(wrong[:MAX_DIFFERENCES]), len(wrong), VERSION, _notes(manifest, found))


def _hashed(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in manifest.get("hashes", {}).items() if value is not None}


def _both(kind: str, expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[Difference]:
    return [Difference(kind, name, expected[name], found[name]) for name in sorted({*expected} & {*found})]


def _pairs(kind: str, expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[Difference]:
    return [Difference(kind, name, expected.get(name), found.get(name)) for name in sorted({*expected, *found})]


def _notes(manifest: Mapping[str, Any], found: Contents) -> tuple[str, ...]:
    unhashed = [name for name in found.counts if manifest.get("hashes", {}).get(name) is None]
    return (f"{len(unhashed)} tables have too many rows to be hashed: counted only.",) if unhashed else ()


def assertion_fault(query: Any) -> str:
    return "" if _sql(query) else 'Write a SELECT that gives one number or boolean, or {"sql": "SELECT ..."}.'


def _sql(query: Any) -> str:
    """Empty when it is none."""
    if isinstance(query, dict):
        query = query.get("sql") if set(query) == {"sql"} else ""
    return query.strip() if isinstance(query, str) else ""


def evaluate(path: Path, query: Any, guard: Guard) -> bool | int | float | None:
    """Nothing but reading this one file is let through: no ATTACH, no PRAGMA, no writing."""
    with reading(path, guard) as connection:
        connection.set_authorizer(lambda action, *_: sqlite3.SQLITE_OK if action in READS else sqlite3.SQLITE_DENY)
        try:
            rows = connection.execute(_sql(query)).fetchmany(2)
        except (sqlite3.Error, sqlite3.Warning) as error:
            guard.check()
            raise BackupError(
                f"The assertion cannot be answered: {error}.", code="assertion", permanent=True
            ) from error
    if len(rows) != 1 or len(rows[0]) != 1 or not isinstance(rows[0][0], int | float | None):
        raise BackupError("The assertion gives no single number.", code="assertion", permanent=True)
    value: bool | int | float | None = rows[0][0]
    return value
