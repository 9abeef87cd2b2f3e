"""Hung is not dead: servers that freeze, locks that stay, workers that sleep past their lease, and full slots."""

import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any

import psutil
import psycopg2
import pytest

from tests.gate import Gate, gate
from tests.live import RESOLVED_WITHIN_S, SWEEP_S, Live, busy, id_of, kill, live, until
from tests.servers.postgres import PostgresServer

pytestmark = [pytest.mark.slow]

LOCK_TIMEOUT_S = 2
SLOTS = 2
Fresh = Callable[[PostgresServer], str]


@dataclass
class Room:
    """A site with two slots; `source` is reached through the gate, as is `target`, which is empty."""

    site: Live
    gate: Gate
    source: str
    target: str


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory, postgres18: PostgresServer) -> Iterator[Room]:
    source, target = (f"hung_{token_hex(4)}_{name}" for name in ("source", "target"))
    with ExitStack() as stack:
        for name in (source, target):
            postgres18.create_database(name)
            stack.callback(postgres18.drop_database, name)
        postgres18.psql(
            "CREATE TABLE item AS SELECT n AS id, repeat(md5(n::text), 25) AS note FROM generate_series(1, 20000) n",
            source,
        )
        proxy = stack.enter_context(gate(postgres18.host, postgres18.port))
        settings = {
            "BACKUPSITE_MAX_PARALLEL_JOBS": str(SLOTS),
            "BACKUPSITE_MAX_ATTEMPTS": "1",
            "BACKUPSITE_LOCK_TIMEOUT": str(LOCK_TIMEOUT_S),
        }
        site = stack.enter_context(live(tmp_path_factory.mktemp("hung"), postgres18, **settings))
        site.add_database("source", source, port=proxy.port)
        site.add_database("other", source, port=proxy.port)
        site.add_database("well", source)
        site.add_database("target", target, port=proxy.port)
        yield Room(site, proxy, source, target)
        proxy.open()


@pytest.fixture(autouse=True)
def quiet(room: Room) -> Iterator[None]:
    """One test that fails leaves no job behind for the next."""
    yield
    room.gate.open()
    running = "SELECT count(*) FROM backups_backup WHERE status IN ('pending', 'in_progress')"
    until(lambda: room.site.rows(running) == [(0,)], seconds=40)


def complete(site: Live, pk: str) -> str:
    path = site.back_up(pk)
    job = site.until(path)
    assert job["status"] == "completed", job
    return path


FROZEN: dict[str, dict[str, Any]] = {
    "while it connects": {"down": 0},
    "after it let us in": {"down": 1000},
    "while it answers": {"down": 6000},
    "in the middle of a dump": {"down": 400_000},
}


@pytest.mark.parametrize("limit", FROZEN.values(), ids=FROZEN)
def test_a_run_on_a_frozen_server_can_be_cancelled(room: Room, limit: dict[str, Any]) -> None:
    site = room.site
    before = site.stored()
    room.gate.shut(**limit)
    try:
        paths = [site.back_up("source"), site.back_up("other")]
        for path in paths:
            site.until(path, "in_progress")
        assert room.gate.held.wait(30 * busy())
        time.sleep(1)
        pool = site.pool(*map(id_of, paths))
        for path in paths:
            site.client.post(f"{path}/cancel")
        for path in paths:
            assert site.until(path, seconds=60)["status"] == "cancelled"
        assert all(process.is_running() for process in pool)
        assert site.stored() == before
        complete(site, "well")  # both slots are free again, while the server is still frozen
    finally:
        room.gate.open()
    assert site.stored() > before


def test_a_session_that_holds_a_table_fails_the_backup_with_a_hint(room: Room) -> None:
    site = room.site
    before = site.stored()
    with closing(psycopg2.connect(site.server.dsn(room.source))) as session, session.cursor() as cursor:
        cursor.execute("LOCK TABLE item IN ACCESS EXCLUSIVE MODE")
        job = site.until(site.back_up("source"), seconds=LOCK_TIMEOUT_S + 5)
    assert job["status"] == "failed"
    assert "lock" in job["error"]["hint"].lower(), job["error"]
    assert site.stored() == before


def stopped_itself(site: Live, path: str) -> bool:
    """It noticed its own clock, or its row."""
    return bool(re.search(f"{id_of(path)}: (the lease ran out|another process has taken)", site.log))


@contextmanager
def asleep(site: Live, path: str) -> Iterator[psutil.Process]:
    """Freezes the process that runs a job until another took the job over, and a little longer."""
    (sleeper,) = site.pool(id_of(path))
    kill([sleeper], signal.SIGSTOP)
    try:
        job = site.until(path, "failed", seconds=RESOLVED_WITHIN_S)
        assert job["error"]["code"] == "worker_lost"
        yield sleeper
    finally:
        kill([sleeper], signal.SIGCONT)


def test_a_restore_that_slept_past_its_lease_writes_nothing_when_it_wakes(room: Room) -> None:
    site, server = room.site, room.site.server
    backup = complete(site, "well")
    server.psql("CREATE TABLE IF NOT EXISTS precious AS SELECT 1 AS n", room.target)
    room.gate.shut(up=200_000)
    path = site.restore(backup, "target", drop_existing=True)
    site.until_phase(path, "restore")
    assert room.gate.held.wait(30 * busy())
    psql = [process for process in site.tools() if process.name() == "psql"]
    with asleep(site, path) as sleeper:
        room.gate.open()
    psutil.wait_procs(psql, timeout=10 * busy())
    assert not site.tools()
    assert sleeper.is_running()
    until(lambda: stopped_itself(site, path), what=lambda: site.log[-3000:])
    assert server.psql("SELECT string_agg(tablename, ',') FROM pg_tables WHERE schemaname = 'public'", room.target) == (
        "precious"
    )
    assert site.until(path, "failed")["error"]["code"] == "worker_lost"


def test_a_backup_that_slept_past_its_lease_stores_nothing_when_it_wakes(room: Room) -> None:
    site = room.site
    before = site.stored()
    room.gate.shut(down=400_000)
    path = site.back_up("source")
    until(lambda: site.stored() - before)
    assert room.gate.held.wait(30 * busy())
    with asleep(site, path):
        until(lambda: site.stored() == before, what=lambda: site.stored() - before)
        complete(site, "well")
        after = site.stored()
        room.gate.open()
    until(lambda: stopped_itself(site, path), what=lambda: site.log[-3000:])
    until(lambda: not site.tools())
    assert site.stored() == after
    assert site.until(path, "failed")["error"]["code"] == "worker_lost"


def test_with_every_slot_taken_the_sweeper_works_on(room: Room) -> None:
    site = room.site
    room.gate.shut(down=400_000)
    hanging = [site.back_up("source"), site.back_up("other")]
    for path in hanging:
        site.until_phase(path, "dump")
    due = datetime.now(UTC) + timedelta(seconds=2)
    later = site.client.post("/api/backups", {"database_id": "target", "scheduled_at": due.isoformat()})["id"]
    site.client.call("PATCH", "/api/databases/well", {"schedule": "* * * * *"})
    site.rows("UPDATE databases_database SET scheduled_since = datetime('now', '-61 seconds') WHERE id = 'well'")
    site.until(f"/api/backups/{later}", "pending", seconds=2 + SWEEP_S + 3)
    slot = "SELECT backup_id FROM backups_slot WHERE database_id = 'well' AND backup_id IS NOT NULL"
    ((due_backup,),) = until(lambda: site.rows(slot), seconds=SWEEP_S + 3)
    seen = "SELECT max(seen_at) > datetime('now', '-3 seconds') FROM jobs_process WHERE role = 'sweeper'"
    assert site.rows(seen) == [(1,)]
    site.client.call("PATCH", "/api/databases/well", {"schedule": None})
    assert [site.client.get(path)["status"] for path in hanging] == ["in_progress"] * SLOTS
    assert site.client.get(f"/api/backups/{due_backup}")["status"] == "pending"
    room.gate.open()
    for path in (*hanging, f"/api/backups/{due_backup}", f"/api/backups/{later}"):
        assert site.until(path)["status"] == "completed"
