"""What has happened to other backup tools does not happen here."""

import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from contextlib import closing

import psutil
import psycopg2
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from databases.engines.base import Connection, DumpRequest
from databases.engines.postgres.engine import PostgresEngine
from databases.engines.postgres.options import PostgresOptions
from jobs.errors import BackupError
from tests.contracts.engines import RecordingGuard, dump_of
from tests.databases.engines.postgres.conftest import client_dirs, engine_to
from tests.live import busy, until
from tests.servers.postgres import PostgresServer

FreshDatabase = Callable[[PostgresServer], str]
PASSWORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=200)


@pytest.fixture
def locked(postgres18: PostgresServer, fresh_database: FreshDatabase) -> str:
    name = fresh_database(postgres18)
    postgres18.psql("CREATE TABLE held (id int)", name)
    return name


@given(password=PASSWORDS)
@example(password="a:b\\c:\\")
@example(password=" leading and trailing ")
@example(password="#'\"$`%=;{}")
@example(password="☃" * 60)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_passwords_with_any_characters_log_in(password: str, postgres18: PostgresServer) -> None:
    quoted = password.replace("\\", "\\\\").replace("'", "''")
    postgres18.psql(f"DROP ROLE IF EXISTS odd; CREATE ROLE odd SUPERUSER LOGIN PASSWORD E'{quoted}'")
    connection = Connection(postgres18.host, postgres18.port, "odd", password, "postgres")
    engine = PostgresEngine(connection, PostgresOptions(), {"pg_bin_dirs": client_dirs()})
    assert engine.check().ok
    assert dump_of(engine).data


def test_a_lock_held_by_another_session_ends_the_dump_with_a_hint(locked: str, postgres18: PostgresServer) -> None:
    holder = psycopg2.connect(postgres18.dsn(locked))
    try:
        holder.cursor().execute("LOCK TABLE held IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        request = DumpRequest(guard=RecordingGuard(), lock_timeout_s=1)
        with pytest.raises(BackupError) as raised, engine_to(postgres18, locked).dump(request) as dump:
            dump.readinto(bytearray(1 << 20))
        assert raised.value.code == "lock_timeout"
        assert not raised.value.permanent
        assert "pg_locks" in raised.value.hint
        assert time.monotonic() - began < 10 * busy()
    finally:
        holder.close()


def test_a_cancelled_dump_that_waits_for_a_lock_stops_at_once(locked: str, postgres18: PostgresServer) -> None:
    holder = psycopg2.connect(postgres18.dsn(locked))
    guard = RecordingGuard()
    reason = BackupError("cancelled", code="cancelled")
    timer = threading.Timer(0.5, guard.stop_with, [reason])
    try:
        holder.cursor().execute("LOCK TABLE held IN ACCESS EXCLUSIVE MODE")
        timer.start()
        began = time.monotonic()
        with pytest.raises(BackupError) as raised, engine_to(postgres18, locked).dump(DumpRequest(guard=guard)) as dump:
            dump.readinto(bytearray(1 << 20))
        assert raised.value is reason
        assert time.monotonic() - began < 5 * busy()
    finally:
        timer.join()
        holder.close()


def test_a_killed_worker_leaves_no_pg_dump(locked: str, postgres18: PostgresServer) -> None:
    """pg_dump waits for a lock that neither our own questions need nor a login.

    (A login whose database has no cache file on the disk yet opens every catalog with a cache of its own.)
    """
    holder = psycopg2.connect(postgres18.dsn(locked))
    script = textwrap.dedent(f"""
        from databases.engines.base import Connection, DumpRequest
        from databases.engines.postgres.engine import PostgresEngine
        from databases.engines.postgres.options import PostgresOptions
        from tests.contracts.engines import RecordingGuard
        connection = Connection({postgres18.host!r}, {postgres18.port}, "postgres", {postgres18.password!r}, {locked!r})
        engine = PostgresEngine(connection, PostgresOptions(), {{"pg_bin_dirs": {client_dirs()!r}}})
        with engine.dump(DumpRequest(guard=RecordingGuard())) as dump:
            dump.readinto(bytearray(1 << 20))
    """)
    try:
        holder.cursor().execute("LOCK TABLE pg_catalog.pg_description IN ACCESS EXCLUSIVE MODE")
        with subprocess.Popen([sys.executable, "-c", script]) as worker:
            try:
                until(lambda: _waiting(postgres18, locked) == 1, what=lambda: f"pg_dump to wait: {worker.poll()}")
                tools = [child for child in psutil.Process(worker.pid).children() if child.name() == "pg_dump"]
            finally:
                worker.kill()
        assert len(tools) == 1
        _, alive = psutil.wait_procs(tools, timeout=5 * busy())
        assert alive == []
    finally:
        holder.close()


def _waiting(server: PostgresServer, dbname: str) -> int:
    """How many sessions wait for a lock in this database."""
    with closing(psycopg2.connect(server.dsn("postgres"))) as session, session.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'", [dbname]
        )
        (count,) = cursor.fetchone() or (0,)
        return int(count)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"password": "wrong"}, "wrong_password"),
        ({"username": "nobody_here"}, "wrong_password"),
        ({"database_name": "not_there"}, "database_missing"),
        ({"port": 1}, "unreachable"),
        ({"host": "no-such-host.invalid"}, "unreachable"),
    ],
)
def test_each_fault_of_a_connection_has_its_own_code_and_hint(
    changes: dict[str, object], code: str, postgres18: PostgresServer
) -> None:
    values = {"host": "127.0.0.1", "port": postgres18.port, "username": "postgres", "database_name": "postgres"}
    connection = Connection(**{**values, "password": postgres18.password, **changes})  # type: ignore[arg-type]
    report = PostgresEngine(connection, PostgresOptions(), {"pg_bin_dirs": client_dirs()}).check()
    assert (report.ok, report.code) == (False, code)
    assert report.hint


def test_a_table_that_cannot_be_read_is_warned_of_and_fails_the_dump(
    postgres18: PostgresServer, fresh_database: FreshDatabase
) -> None:
    name = fresh_database(postgres18)
    postgres18.psql("CREATE TABLE secret (id int); DROP ROLE IF EXISTS low; CREATE ROLE low LOGIN PASSWORD 'low'", name)
    connection = Connection(postgres18.host, postgres18.port, "low", "low", name)
    engine = PostgresEngine(connection, PostgresOptions(), {"pg_bin_dirs": client_dirs()})
    report = engine.check()
    assert report.ok
    assert any("public.secret" in warning for warning in report.warnings)
    with pytest.raises(BackupError) as raised:
        dump_of(engine)
    assert (raised.value.code, raised.value.permanent) == ("permission", True)
    assert "pg_read_all_data" in raised.value.hint
