"""A drill's scratch database: on a drill server, or on a server that is started for it and thrown away."""

import os
import secrets
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from databases.engines.base import Connection, RestoreRequest
from databases.engines.postgres import throwaway
from databases.engines.postgres.engine import PostgresEngine
from databases.engines.proof import ScratchRequest
from jobs.errors import BackupError
from tests.contracts.engines import Dumped, RecordingGuard, dump_of
from tests.databases.engines.postgres.conftest import SAMPLE, client_dirs, engine_to
from tests.databases.engines.postgres.drills import compared, request_for
from tests.live import busy
from tests.servers.postgres import PostgresServer, _other_user

FreshDatabase = Callable[[PostgresServer], str]


class Stopped(Exception):
    """What a job's guard raises when it has to stop."""


@pytest.fixture(scope="module")
def dumped(postgres14: PostgresServer) -> Iterator[Dumped]:
    """With an owner that no other server knows."""
    name, owner = f"scratch_{secrets.token_hex(4)}", f"Owner {secrets.token_hex(4)}"
    postgres14.create_database(name)
    postgres14.psql(SAMPLE + f'CREATE ROLE "{owner}"; ALTER TABLE shop.orders OWNER TO "{owner}";', name)
    yield dump_of(engine_to(postgres14, name))
    postgres14.drop_database(name)
    postgres14.psql(f'DROP ROLE "{owner}"')


def databases(server: PostgresServer) -> set[str]:
    return set(server.psql("SELECT datname FROM pg_database").splitlines())


def folder_of(request: ScratchRequest) -> Path:
    return Path(tempfile.gettempdir()).resolve() / f"{throwaway.PREFIX}{request.name}"


def test_a_scratch_database_is_made_as_the_backup_was_and_dropped(postgres18: PostgresServer, dumped: Dumped) -> None:
    request = request_for(dumped, engine_to(postgres18, "postgres"))
    with PostgresEngine.scratch(request) as scratch:
        assert request.name in databases(postgres18)
        assert scratch.connection.database_name == request.name
        locale = f"SELECT datcollate FROM pg_database WHERE datname = '{request.name}'"
        assert postgres18.psql(locale) == dumped.manifest["collate"]
    assert request.name not in databases(postgres18)


def test_an_unknown_locale_becomes_c_and_is_logged(postgres18: PostgresServer, dumped: Dumped) -> None:
    odd = replace(dumped, manifest={**dumped.manifest, "collate": "tlh_QO.UTF-8", "ctype": "tlh_QO.UTF-8"})
    guard = RecordingGuard()
    with PostgresEngine.scratch(request_for(odd, engine_to(postgres18, "postgres"), guard)):
        assert "tlh_QO.UTF-8" in guard.lines[0]


@pytest.mark.parametrize("own", [False, True], ids=["a drill server", "a throw-away server"])
def test_what_fails_in_the_scratch_leaves_nothing(own: bool, postgres18: PostgresServer, dumped: Dumped) -> None:
    request = request_for(dumped, None if own else engine_to(postgres18, "postgres"))
    damaged = dumped.source(fault=BackupError("digests differ", code="artefact_corrupt"))
    with pytest.raises(BackupError) as raised, PostgresEngine.scratch(request) as scratch:
        scratch.restore([damaged], RestoreRequest(guard=RecordingGuard()))
    assert raised.value.code == "artefact_corrupt"
    assert request.name not in databases(postgres18)
    assert not folder_of(request).exists()


def test_a_database_that_was_there_before_is_left_alone(
    postgres18: PostgresServer, dumped: Dumped, fresh_database: FreshDatabase
) -> None:
    request = replace(request_for(dumped, engine_to(postgres18, "postgres")), name=fresh_database(postgres18))
    with pytest.raises(BackupError, match="already exists"), PostgresEngine.scratch(request):
        pass
    assert request.name in databases(postgres18)


def test_what_a_killed_drill_left_is_dropped_and_nothing_left_is_fine(
    postgres18: PostgresServer, dumped: Dumped
) -> None:
    request = request_for(dumped, engine_to(postgres18, "postgres"))
    postgres18.create_database(request.name)
    for _ in range(2):
        PostgresEngine.remove_scratch(request)
    assert request.name not in databases(postgres18)
    PostgresEngine.remove_scratch(replace(request, server=None))


def test_a_role_that_may_not_make_databases_is_told_what_to_grant(postgres18: PostgresServer, dumped: Dumped) -> None:
    role = f"poor_{secrets.token_hex(4)}"
    postgres18.psql(f"CREATE ROLE {role} LOGIN PASSWORD 'poor'")
    try:
        poor = PostgresEngine(
            Connection(postgres18.host, postgres18.port, role, "poor", "postgres"),
            engine_to(postgres18, "postgres").options,
            {"pg_bin_dirs": client_dirs()},
        )
        with pytest.raises(BackupError) as raised, PostgresEngine.scratch(request_for(dumped, poor)):
            pass
        assert (raised.value.code, raised.value.permanent) == ("no_scratch", True)
        assert f"ALTER ROLE {role} CREATEDB" in raised.value.hint
        postgres18.psql(f"ALTER ROLE {role} CREATEDB")
        with PostgresEngine.scratch(request_for(dumped, poor)) as scratch:
            assert scratch.check().ok
    finally:
        postgres18.psql(f"DROP ROLE {role}")


@pytest.mark.parametrize(
    ("changes", "own", "words"),
    [
        ({"server_version": "18.1"}, False, "PostgreSQL 18 or newer"),
        ({"extensions": {"not_installed": "1"}}, False, "drill server that has them"),
        ({"server_version": "99.1"}, True, "install postgresql-99"),
        ({"database_size": 1 << 60}, True, "BACKUPSITE_DRILL_DIR"),
    ],
    ids=["an older server", "a missing extension", "no new server's programs", "no room"],
)
def test_where_no_scratch_can_be_made_the_hint_says_what_would_help(
    changes: dict[str, object], own: bool, words: str, postgres14: PostgresServer, dumped: Dumped
) -> None:
    asked = replace(dumped, manifest={**dumped.manifest, **changes})
    request = request_for(asked, None if own else engine_to(postgres14, "postgres"))
    with pytest.raises(BackupError) as raised, PostgresEngine.scratch(request):
        pass
    assert raised.value.code == "no_scratch"
    assert words in raised.value.hint
    assert not folder_of(request).exists()


@pytest.mark.parametrize("base", ["/not/there", f"/tmp/{'long/' * 20}"], ids=["missing", "too long for a socket"])
def test_a_folder_that_cannot_be_used_is_said(base: str, dumped: Dumped) -> None:
    request = request_for(dumped, None)
    request = replace(request, settings={**request.settings, "drill_dir": base})
    with pytest.raises(BackupError) as raised, PostgresEngine.scratch(request):
        pass
    assert raised.value.code == "no_scratch"
    assert "BACKUPSITE_DRILL_DIR" in raised.value.hint


def test_a_throw_away_server_takes_the_backup_whole_listens_on_no_port_and_is_gone(dumped: Dumped) -> None:
    request = request_for(dumped, None)
    folder = folder_of(request)
    with PostgresEngine.scratch(request) as scratch:
        report = scratch.restore([dumped.source()], RestoreRequest(guard=RecordingGuard()))
        assert report.notes == (), "owners are restored too: the server was given the backup's roles"
        comparison = compared(dumped, scratch)
        assert (comparison.total, comparison.server_version.split(".")[0]) == (0, "14"), "as the backup's own server"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        servers = working_in(folder)
        assert len(servers) > 2
        assert [port for server in servers for port in tcp_of(server)] == []
        assert psutil.Process(min(server.pid for server in servers)).uids().effective != 0
    assert not [server for server in servers if server.is_running()]
    assert not folder.exists()


def test_a_job_that_must_stop_ends_its_throw_away_server(dumped: Dumped) -> None:
    guard = RecordingGuard()
    request = request_for(dumped, None, guard)
    with pytest.raises(Stopped), PostgresEngine.scratch(request) as scratch:
        guard.stop_with(Stopped())
        scratch.compare(dumped.manifest, guard)
    assert not folder_of(request).exists()
    assert guard.callbacks == []


def test_a_killed_worker_leaves_no_server_and_its_folder_is_removed_later(dumped: Dumped) -> None:
    """Also no session that was busy for a client that died with the worker."""
    request = request_for(dumped, None)
    folder = folder_of(request)
    script = textwrap.dedent(f"""
        import psycopg2
        from databases.engines.postgres.engine import PostgresEngine
        from databases.engines.proof import ScratchRequest
        from tests.contracts.engines import RecordingGuard
        manifest = {{"server_version": "14.1"}}
        request = ScratchRequest({request.name!r}, RecordingGuard(), manifest, None, {dict(request.settings)!r})
        with PostgresEngine.scratch(request) as scratch:
            place = scratch.connection
            client = psycopg2.connect(host=place.host, user=place.username, dbname=place.database_name)
            many = "generate_series(1, 1000000)"
            client.cursor().execute(f"SELECT count(*) FROM {{many}} a, {{many}} b")
    """)
    with subprocess.Popen([sys.executable, "-c", script]) as worker:
        until = time.monotonic() + 60 * busy()
        while not (servers := busy_in(folder)):
            assert time.monotonic() < until
            assert worker.poll() is None
            time.sleep(0.05)
        worker.kill()
    _, alive = psutil.wait_procs(servers, timeout=30 * busy())
    assert alive == []
    assert folder.exists()
    PostgresEngine.remove_scratch(request)
    assert not folder.exists()


def test_what_still_runs_in_a_drills_folder_is_ended_with_it(dumped: Dumped) -> None:
    request = request_for(dumped, None)
    folder = folder_of(request)
    (folder / "data").mkdir(parents=True)
    other = subprocess.Popen(["sleep", "600"], cwd=folder)
    left = subprocess.Popen(["sleep", "600"], cwd=folder / "data")
    try:
        PostgresEngine.remove_scratch(request)
        assert left.wait(10) < 0
        assert other.poll() is None, "it does not stand in the server's data"
        assert not folder.exists()
    finally:
        for process in (left, other):
            process.kill()
            process.wait()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try as another user")
def test_a_worker_that_is_not_root_starts_the_server_as_itself(tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import os
        from databases.engines.postgres.engine import PostgresEngine
        from databases.engines.proof import ScratchRequest
        from tests.contracts.engines import RecordingGuard
        request = ScratchRequest("drill_nobody", RecordingGuard(), {{}}, None, {{"pg_bin_dirs": {client_dirs()!r}}})
        with PostgresEngine.scratch(request) as scratch:
            print(scratch.evaluate("SELECT 1 + 1", RecordingGuard()), os.geteuid())
    """)
    command = ["setpriv", *_other_user(tmp_path), sys.executable, "-B", "-c", script]
    done = subprocess.run(command, check=False, capture_output=True)
    assert done.stdout.split()[:1] == [b"2"], done.stderr.decode()
    assert done.stdout.split()[1] != b"0"


def test_as_root_without_an_account_for_it_no_server_is_started(
    dumped: Dumped, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(throwaway, "ACCOUNTS", ("no_such_account",))
    with pytest.raises(BackupError) as raised, PostgresEngine.scratch(request_for(dumped, None)):
        pass
    assert raised.value.code == "no_scratch"
    assert "account" in raised.value.hint


def test_a_server_that_does_not_start_is_told_in_its_own_words(dumped: Dumped, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throwaway, "SETTINGS", throwaway.SETTINGS + "no_such_setting = on\n")
    request = request_for(dumped, None)
    with pytest.raises(BackupError) as raised, PostgresEngine.scratch(request):
        pass
    assert raised.value.code == "no_scratch"
    assert "no_such_setting" in raised.value.message
    assert not folder_of(request).exists()


def working_in(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder / "data"):
                found.append(process)
        except psutil.Error:
            continue
    return found


def tcp_of(process: psutil.Process) -> list[int]:
    try:
        return [one.laddr.port for one in process.net_connections("tcp")]
    except psutil.NoSuchProcess:
        return []


def busy_in(folder: Path) -> list[psutil.Process]:
    """All of the server's processes, once one works for the drill's client."""
    servers = working_in(folder)
    return servers if any(name.strip().endswith(" SELECT") for name in map(_title, servers)) else []


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def test_an_assertion_on_a_throw_away_server_reads_every_row_and_no_file_of_this_host(dumped: Dumped) -> None:
    """Operators write assertions, and everybody reads what they found."""
    with PostgresEngine.scratch(request_for(dumped, None)) as scratch:
        scratch.restore([dumped.source()], RestoreRequest(guard=RecordingGuard()))
        counts = {name: count for name, count in dumped.manifest["counts"].items() if count is not None}
        for name, count in counts.items():
            assert scratch.evaluate(f"SELECT count(*) FROM ONLY {name}", RecordingGuard()) == count
        reading = "SELECT length(pg_read_file('/proc/version'))"
        again = f"SELECT 1 WHERE set_config('role', 'postgres', false) = 'postgres' AND ({reading}) > 0"
        for sql in (reading, again):
            with pytest.raises(BackupError, match="permission denied") as raised:
                scratch.evaluate(sql, RecordingGuard())
            assert raised.value.code == "assertion"
