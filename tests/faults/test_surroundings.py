"""Messages doubled, late and lost; the site's own database locked; disks full: it says so, recovers, loses nothing."""

import itertools
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from secrets import token_hex

import pytest

from demo.client import ApiError
from tests.live import SWEEP_S, Live, kill, live, until
from tests.servers.postgres import PostgresServer

pytestmark = [pytest.mark.slow]


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A memory disk at `folder`, which needs root."""
    folder.mkdir(exist_ok=True)
    mounted = (
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], check=False).returncode == 0
    )
    if not mounted:
        pytest.skip("mounting needs root")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.fixture(scope="module")
def source(postgres18: PostgresServer) -> Iterator[str]:
    """About 3 MB that do not compress."""
    name = f"surrounded_{token_hex(4)}"
    postgres18.create_database(name)
    postgres18.psql("CREATE TABLE item AS SELECT n, md5(n::text) FROM generate_series(1, 80000) n", name)
    yield name
    postgres18.drop_database(name)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, postgres18: PostgresServer) -> Iterator[Live]:
    """Every test leaves it running: that is what the tests are about."""
    with live(tmp_path_factory.mktemp("surroundings"), postgres18, BACKUPSITE_MAX_ATTEMPTS="2") as found:
        yield found


@pytest.fixture
def shop(site: Live, source: str) -> str:
    """A Database of this test's own."""
    pk = f"shop-{token_hex(4)}"
    site.add_database(pk, source)
    return pk


def count(site: Live, pk: str, status: str) -> int:
    query = "SELECT count(*) FROM backups_backup WHERE database_id = ? AND status = ?"
    return int(site.rows(query, pk, status)[0][0])


def messages(site: Live) -> Iterator[Path]:
    return (path for path in (site.data / "doorbell").rglob("*") if path.is_file() and not path.name.startswith("."))


def test_twenty_requests_at_once_run_one_after_the_other(site: Live, shop: str) -> None:
    before = site.stored()
    with ThreadPoolExecutor(20) as clients:
        asked = clients.map(site.back_up, [shop] * 20)
        most = 0
        paths = list(asked)
    while count(site, shop, "completed") < len(paths):
        most = max(most, count(site, shop, "in_progress"))
        assert count(site, shop, "failed") == 0
        time.sleep(0.01)
    assert most == 1
    ours = "FROM backups_backup WHERE database_id = ?"
    spans = site.rows(f"SELECT started_at, finished_at {ours} ORDER BY started_at", shop)
    assert all(ended <= began for (_, ended), (began, _) in itertools.pairwise(spans))
    assert site.rows(f"SELECT count(*), max(attempt) {ours}", shop) == [(20, 1)]
    assert len(site.stored() - before) == 40


def test_doorbells_that_come_twice_or_late_change_nothing(site: Live, shop: str, tmp_path: Path) -> None:
    jobs, said = site.data / "doorbell" / "jobs", len(site.log)
    worker = [site.child("worker")]
    kill(worker, signal.SIGSTOP)  # or it takes the message away before it is copied
    try:
        path = site.back_up(shop)
        taken = until(
            lambda: [copy(message, tmp_path) for message in messages(site)], what=lambda: "a doorbell to copy"
        )
    finally:
        kill(worker, signal.SIGCONT)
    for number in range(5):  # while it runs
        for message in taken:
            shutil.copy(message, jobs / f"{message.name}{number}")
    assert site.until(path)["status"] == "completed"
    stored = site.stored()
    for message in taken:  # long after it ended
        shutil.copy(message, jobs / f"{message.name}late")
    until(lambda: not list(messages(site)), what=lambda: list(messages(site)))
    time.sleep(1)
    job = site.client.get(path)
    assert (job["status"], job["attempt"]) == ("completed", 1)
    assert site.stored() == stored
    assert "Traceback" not in site.log[said:]


def copy(message: Path, folder: Path) -> Path:
    return Path(shutil.copy(message, folder / message.name))


def test_doorbells_that_never_come_are_rung_again(site: Live, shop: str) -> None:
    """The folder vanishes over and over while backups are asked for."""
    paths = []
    for _ in range(5):
        paths.append(site.back_up(shop))
        shutil.rmtree(site.data / "doorbell", ignore_errors=True)
    for path in paths:
        assert site.until(path)["status"] == "completed"
    assert site.child("worker").is_running()


def test_a_site_database_that_is_locked_for_long_delays_and_loses_nothing(site: Live, shop: str) -> None:
    before = site.stored()
    path = site.back_up(shop)
    with closing(sqlite3.connect(site.data / "backupsite.sqlite3", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        time.sleep(30)
        writer.execute("ROLLBACK")
    job = site.until(path, "completed", "scheduled", seconds=40)
    site.hurry()
    job = site.until(path)
    assert job["status"] == "completed", site.log
    assert len(site.stored() - before) == 2
    for role in ("worker", "sweeper", "beat", "web"):
        assert site.child(role).is_running()


def test_a_destination_that_is_full_fails_with_a_hint_and_stays_clean(site: Live, source: str) -> None:
    with small_disk(site.folder / "small", "1m"):
        body = {"id": "small", "name": "small", "kind": "local", "path": str(site.folder / "small"), "reserve_bytes": 0}
        site.client.post("/api/destinations", body)
        site.add_database("big", source, destination="small", compression="none")
        path = site.back_up("big")
        job = site.until(path, "scheduled", "failed")
        assert job["error"]["code"] == "destination_full"
        assert job["error"]["hint"]
        files = [found.name for found in (site.folder / "small").rglob("*") if found.is_file()]
        assert files == [".backupsite-destination"]
        until(lambda: site.rows("SELECT count(*) FROM backups_copy WHERE destination_id = 'small'") == [(0,)])
        site.hurry()
        assert site.until(path)["status"] == "failed"


def test_a_full_data_folder_is_said_and_everything_goes_on_when_there_is_room(
    tmp_path: Path, postgres18: PostgresServer, source: str
) -> None:
    data = tmp_path / "data"
    with small_disk(data, "1100m"), live(tmp_path, postgres18, BACKUPSITE_MAX_ATTEMPTS="2") as site:
        subprocess.run(["mount", "-o", "remount,size=16m", data], check=True)
        site.add_database("shop", source)
        good = site.back_up("shop")
        assert site.until(good)["status"] == "completed"
        with (data / "ballast").open("wb", buffering=0) as file, pytest.raises(OSError, match="space"):
            while file.write(bytes(4096)):
                continue
        # The log of SQLite has some room left, so the first requests may still be taken.
        refused = [problem for _ in range(40) if (problem := refusal(site))]
        assert refused
        assert {problem.split()[2] for problem in refused} == {"503"}, refused
        time.sleep(SWEEP_S + 1)
        (data / "ballast").unlink()
        waiting = [f"/api/backups/{pk}" for (pk,) in site.rows("SELECT id FROM backups_backup")]
        assert len(waiting) == 1 + 40 - len(refused)
        for path in (*waiting, site.back_up("shop")):
            site.until(path, "completed", "scheduled", seconds=60)
            site.hurry()
            assert site.until(path)["status"] == "completed"
        assert site.rows("PRAGMA integrity_check") == [("ok",)]
        assert site.until(site.verify(good))["status"] == "completed"
        for role in ("worker", "sweeper", "beat", "web"):
            assert site.child(role).is_running()


def refusal(site: Live) -> str:
    try:
        site.back_up("shop")
    except ApiError as problem:
        return str(problem)
    return ""
