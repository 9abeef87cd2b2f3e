"""Backupsite's own runs, asked for over the API of a running site, and timed from outside."""

import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from benchmarks.world import World

POLL_S = 0.005
LONGEST_S = 3600.0


@dataclass(frozen=True)
class Marks:
    """Seconds since the POST. `started`: the worker had claimed it; `stored`: the last byte was written, fsync
    included; `completed`: read back, compared, recorded.
    """

    started: float
    stored: float
    completed: float


@dataclass(frozen=True)
class OurBackup:
    id: str
    marks: Marks
    size: int
    original_size: int
    path: str


def back_up(world: World, database: str) -> OurBackup:
    asked_at = time.time()
    asked = world.client.post("/api/backups", {"database_id": database})
    marks = _follow(world, "backups_backup", asked["id"], asked_at)
    backup = world.client.get(f"/api/backups/{asked['id']}")
    return OurBackup(asked["id"], marks, int(backup["size"]), int(backup["original_size"]), str(backup["path"]))


def restore(world: World, backup: OurBackup) -> Marks:
    asked_at = time.time()
    body = {"target_database_id": "target", "drop_existing": False, "confirm": "target"}
    asked = world.client.post(f"/api/backups/{backup.id}/restore", body)
    return _follow(world, "backups_restore", asked["id"], asked_at)


def discard(world: World, backup: OurBackup) -> None:
    world.client.delete(f"/api/backups/{backup.id}")


def _follow(world: World, table: str, job: str, asked_at: float) -> Marks:
    """Reads the row itself, every 5 ms: polling over HTTP would take the processor from what is measured."""
    stored = None
    query = f"SELECT status, phase, started_at, error_message FROM {table} WHERE id = ?"
    with closing(sqlite3.connect(f"file:{world.site.data}/backupsite.sqlite3?mode=ro", uri=True)) as database:
        while time.time() - asked_at < LONGEST_S:
            status, phase, started_at, error = database.execute(query, [job]).fetchone()
            now = time.time() - asked_at
            if stored is None and phase == "read_back":
                stored = now
            if status == "completed":
                return Marks(_when(started_at) - asked_at, stored or now, now)
            if status not in ("scheduled", "pending", "in_progress") or error:
                raise RuntimeError(f"{job} {status}: {error}; the site's log is {world.site.log}")
            time.sleep(POLL_S)
    raise RuntimeError(f"{job} did not end within {LONGEST_S:.0f} s")


def _when(text: Any) -> float:
    return datetime.fromisoformat(str(text)).replace(tzinfo=UTC).timestamp()
