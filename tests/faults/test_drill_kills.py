"""SIGKILL in each phase of a drill: the run ends, and the scratch target goes, on a drill server and thrown away."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory

import pytest

from tests.gate import gate
from tests.live import RESOLVED_WITHIN_S, Live, id_of, kill, live, until
from tests.servers.postgres import PostgresServer

pytestmark = [pytest.mark.slow]

HELD_AT = {
    "scratch": b"CREATE DATABASE",
    "restore": b"COPY ",
    "compare": b"FROM pg_index",
    "assert": b"held_here",
    "tear_down": b"DROP DATABASE",
}
HOLDS = {"name": "it holds", "query": "SELECT count(*) AS held_here FROM item", "operator": "==", "value": 100}
SLEEPS = {"name": "it sleeps", "query": "SELECT count(*) FROM pg_sleep(600)", "operator": "==", "value": 1}


def _says(words: bytes, request: bytes) -> bool:
    return words in request


@pytest.fixture
def thrown() -> Iterator[Path]:
    """Where servers are that are thrown away: short enough for a socket, and every user may pass."""
    with TemporaryDirectory(prefix="bsd-") as folder:
        os.chmod(folder, 0o711)
        yield Path(folder)


@pytest.fixture
def site(tmp_path: Path, thrown: Path, postgres18: PostgresServer) -> Iterator[Live]:
    with live(
        tmp_path,
        postgres18,
        BACKUPSITE_DRILL_DIR=str(thrown),
        BACKUPSITE_MAX_PARALLEL_JOBS="6",
        BACKUPSITE_MAX_PARALLEL_DRILLS="6",
        BACKUPSITE_MAX_ATTEMPTS="1",
    ) as found:
        yield found


def _scratches(server: PostgresServer) -> str:
    return server.psql("SELECT string_agg(datname, ' ') FROM pg_database WHERE datname LIKE 'bsdrill%'")


def test_a_kill_in_any_phase_of_a_drill_leaves_no_scratch_target(
    site: Live, thrown: Path, postgres18: PostgresServer, fresh_database: Callable[[PostgresServer], str]
) -> None:
    name = fresh_database(postgres18)
    postgres18.psql("CREATE TABLE item AS SELECT n AS id FROM generate_series(1, 100) n", name)
    mark = token_hex(2)
    with ExitStack() as stack:
        drills, gates = {}, []
        for phase, words in HELD_AT.items():
            held = stack.enter_context(gate(postgres18.host, postgres18.port))
            gates.append(held)
            held.shut(hold_if=partial(_says, words))
            site.add_database(f"{phase}-{mark}", name)
            site.add_database(f"server-{phase}-{mark}", "postgres", port=held.port)
            assert site.until(site.back_up(f"{phase}-{mark}"))["status"] == "completed"
            server = f"server-{phase}-{mark}"
            drills[phase] = site.drill(f"{phase}-{mark}", server=server, assertions=[HOLDS])
        site.add_database(f"alone-{mark}", name)
        assert site.until(site.back_up(f"alone-{mark}"))["status"] == "completed"
        alone = site.drill(f"alone-{mark}", assertions=[SLEEPS])
        for phase, path in drills.items():
            site.until_phase(path, {"restore": "finish"}.get(phase, phase))  # so small that all of it was read
        site.until_phase(alone, "assert")
        until(lambda: len((_scratches(postgres18) or "").split()) == 4, what=lambda: _scratches(postgres18))
        assert list(thrown.iterdir())
        kill(site.pool(*map(id_of, [*drills.values(), alone])))
        for held in gates:
            held.open()
        for path in [*drills.values(), alone]:
            job = site.until(path, "failed", seconds=RESOLVED_WITHIN_S)
            assert job["error"]["code"] == "worker_lost", job
        until(lambda: not _scratches(postgres18), seconds=RESOLVED_WITHIN_S, what=lambda: _scratches(postgres18))
        until(lambda: not any(thrown.iterdir()), seconds=RESOLVED_WITHIN_S, what=lambda: list(thrown.iterdir()))
        until(lambda: site.rows("SELECT count(*) FROM backups_drill WHERE scratch <> ''") == [(0,)])
        again = site.until(site.drill(f"scratch-{mark}", assertions=[HOLDS]), seconds=60)
        assert again["status"] == "completed", again
