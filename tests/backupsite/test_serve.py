"""`manage.py serve`, run as an operator runs it."""

import re
import signal
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from tests.backupsite.site import Site, manage, serving, until
from tests.live import busy
from tests.prepared import prepare

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One site for the tests that leave it running."""
    with serving(tmp_path_factory.mktemp("site") / "data", from_nothing=True) as running:
        running.ready()
        until(lambda: running.get("/readyz")[0] == 200, what="readyz")
        yield running


def test_it_answers_without_a_login(site: Site) -> None:
    assert site.get("/healthz") == (200, {"status": "ok"})
    assert site.get("/readyz") == (200, {"status": "ready"})
    assert site.get("/healthz", "HEAD") == (200, {})
    assert site.get("/readyz", "HEAD") == (200, {})


def test_it_tells_the_first_admins_password_once(site: Site) -> None:
    assert len(re.findall(r"First admin: admin, password \S{16} ", site.log)) == 1


def test_its_data_folder_and_keys_are_its_owners_alone(site: Site) -> None:
    data = _data(site)
    assert data.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in (data / "keys").iterdir()} == {0o600}


def _data(site: Site) -> Path:
    environ = Path(f"/proc/{site.process.pid}/environ").read_text().replace("\0", "\n")
    return Path(re.findall(r"BACKUPSITE_DATA_DIR=(\S+)", environ)[0])


def test_every_process_that_holds_the_keys_says_that_it_is_alive(site: Site) -> None:
    def roles() -> set[str]:
        with closing(sqlite3.connect(_data(site) / "backupsite.sqlite3")) as rows:
            return {role for (role,) in rows.execute("SELECT role FROM jobs_process")}

    until(lambda: roles() == {"web", "worker", "beat", "sweeper"}, what="all four")


def test_a_killed_worker_takes_its_pool_along_and_comes_back(site: Site) -> None:
    worker = psutil.Process(site.pid_of("worker"))
    pool = worker.children()
    assert len(pool) >= 4
    worker.kill()
    _, alive = psutil.wait_procs(pool, timeout=5 * busy())
    assert not alive
    until(lambda: site.pid_of("worker") != worker.pid, what="a new worker")
    until(lambda: len(psutil.Process(site.pid_of("worker")).children()) >= 4, what="a new pool")
    assert site.process.poll() is None


def test_a_killed_web_process_comes_back_on_the_same_port(site: Site) -> None:
    web = site.pid_of("web")
    psutil.Process(web).kill()
    until(lambda: site.pid_of("web") != web, what="a new web process")
    assert site.get("/healthz")[0] == 200


def test_the_doctor_finds_everything_in_order(site: Site) -> None:
    data = _data(site)
    until(lambda: not re.search(r"^FAIL +(?!tools)", manage("doctor", data_dir=data).stdout, re.M), what="doctor")


def test_a_second_start_is_ready_within_five_seconds_and_stops_in_order(tmp_path: Path) -> None:
    """Here after a first one whose supervisor was killed, which nothing outlives."""
    data = tmp_path / "data"
    with serving(data) as first:
        first.ready()
        until(lambda: len(psutil.Process(first.pid_of("worker")).children()) >= 4, what="the pool")
        tree = first.tree()
        first.process.send_signal(signal.SIGKILL)
        first.process.wait(30)
        assert not psutil.wait_procs(tree, timeout=10 * busy())[1]
    before = busy()
    with serving(data) as second:
        second.ready()
        tree = second.tree()
        assert second.stop() == 0
        assert not psutil.wait_procs(tree, timeout=5 * busy())[1]
        assert "First admin" not in second.log
        assert "Traceback" not in second.log
    assert second.ready_s < 5.0 * max(before, busy())


def test_a_port_in_use_is_one_line_and_status_1(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = manage("serve", "--port", str(taken.getsockname()[1]), data_dir=tmp_path / "data")
    assert done.returncode == 1
    assert re.fullmatch(r".*Cannot listen on .*: Address already in use.*\n", done.stderr)


def test_a_data_folder_that_cannot_be_written_is_one_line_and_status_1(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = manage("serve", data_dir=tmp_path / "file" / "data")
    assert done.returncode == 1
    assert re.fullmatch(r"error: .*BACKUPSITE_DATA_DIR.*\n", done.stderr)


@pytest.mark.parametrize(
    "setting",
    [
        {"BACKUPSITE_PORT": "many"},
        {"DATABASE_URL": "postgres://u:s3cret@h:5x/x"},
        {"BACKUPSITE_PUBLIC_URL": "backups.example.com"},
        {"BACKUPSITE_SECRET_KEY_FILE": "/nowhere"},
        {"BACKUPSITE_AGE_IDENTITY": "AGE-SECRET-KEY-1NONE"},
    ],
)
def test_a_bad_setting_is_one_line_and_status_1(tmp_path: Path, setting: dict[str, str]) -> None:
    done = manage("serve", "--port", "0", data_dir=tmp_path / "data", **setting)
    assert done.returncode == 1
    assert re.fullmatch(rf"error: .*{next(iter(setting)).removesuffix('_FILE')}.*\n", done.stderr)
    assert "s3cret" not in done.stderr


def test_a_site_is_what_its_file_says_before_it_starts(tmp_path: Path) -> None:
    config, data = tmp_path / "config.yaml", tmp_path / "data"
    config.write_text("databases:\n  - {id: shop, engine: postgres, host: h, username: u, database_name: d}\n")
    with serving(data, "--only", "web", "--config", str(config)) as site:
        site.ready()
        assert "config.yaml: create database shop" in site.log
    config.write_text("databases:\n  - {id: shop, engine: postgres, nonsense: 1}\n")
    done = manage("serve", "--port", "0", data_dir=data, BACKUPSITE_CONFIG=str(config))
    assert done.returncode == 1
    assert "line 2: databases.0.nonsense: This is not known here." in done.stderr


def test_processes_can_run_apart(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(data, "--only", "web") as web:
        web.ready()
        until(lambda: web.get("/readyz")[0] == 503, what="not ready")
        assert {reason["check"] for reason in web.get("/readyz")[1]["reasons"]} == {"sweeper", "worker"}
        with serving(data, "--only", "worker,sweeper"):
            until(lambda: web.get("/readyz")[0] == 200, what="ready")


def test_a_standby_beat_takes_over(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(data, "--only", "beat") as first, serving(data, "--only", "beat") as second:
        until(lambda: ("this beat rings" in first.log) + ("this beat rings" in second.log) == 1, what="one beat")
        rings, waits = (first, second) if "this beat rings" in first.log else (second, first)
        until(lambda: "standing by" in waits.log, what="a standby")
        assert rings.stop() == 0
        until(lambda: "this beat rings" in waits.log, what="the standby to take over")


def test_a_start_that_changes_no_table_takes_no_copy(site: Site) -> None:
    assert not (_data(site) / "safety").exists()


def test_a_change_of_the_tables_is_preceded_by_a_copy(tmp_path: Path) -> None:
    data = tmp_path / "data"
    prepare(data)
    with sqlite3.connect(data / "backupsite.sqlite3") as rows:
        rows.execute("DELETE FROM django_migrations WHERE app = 'sessions'")
        rows.execute("DROP TABLE django_session")
    rows.close()
    with serving(data, "--only", "sweeper") as site:
        until(lambda: "sweeper started" in site.log, what="the tables")
    (copy,) = (data / "safety").iterdir()
    assert copy.stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(copy) as rows:
        assert rows.execute("SELECT name FROM django_migrations WHERE app = 'sessions'").fetchall() == []
        assert rows.execute("SELECT count(*) FROM django_migrations WHERE app = 'auth'").fetchone() != (0,)
    rows.close()
