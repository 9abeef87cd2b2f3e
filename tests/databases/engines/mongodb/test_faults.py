"""What has happened to other backup tools does not happen here."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from pymongo.saslprep import saslprep

from databases.engines.base import Connection, DumpRequest, RestoreRequest
from databases.engines.mongodb.engine import MongoEngine
from databases.engines.mongodb.options import MongoOptions
from jobs.errors import BackupError
from tests.contracts.engines import RecordingGuard, dump_of
from tests.databases.engines.mongodb.conftest import as_user, content, engine_to
from tests.live import busy
from tests.servers.mongodb import CERTIFICATE_USER, MongoServer, start_mongodb

Fresh = Callable[[], str]
PASSWORDS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn", "Co"]), min_size=1, max_size=200)


@given(password=PASSWORDS)
@example(password="a:b\\c:\\/@?#[]")
@example(password=" leading and trailing ")
@example(password="#'\"$`%=;{}&%41")
@example(password="☃" * 60)
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_passwords_with_any_characters_log_in(password: str, mongodb_server: MongoServer, sample: str) -> None:
    try:
        assume(saslprep(password))  # what SCRAM itself forbids
    except ValueError:
        assume(False)
    mongodb_server.create_user("odd", password, ["read", {"role": "read", "db": sample}])
    engine = as_user(mongodb_server, "odd", password, sample, include_collections=("strict",))
    assert engine.check().ok
    assert dump_of(engine).data


@pytest.mark.parametrize(
    ("changes", "options", "code"),
    [
        ({"password": "wrong"}, {}, "wrong_password"),
        ({"username": "nobody_here"}, {}, "wrong_password"),
        ({}, {"auth_source": "elsewhere"}, "wrong_password"),
        ({"username": "", "password": ""}, {}, "permission"),
        ({"port": 1}, {}, "unreachable"),
        ({"host": "no-such-host.invalid"}, {}, "unreachable"),
        ({}, {"replica_set": "another"}, "wrong_replica_set"),
        ({}, {"tls": True}, "tls"),
    ],
)
def test_each_fault_of_a_connection_has_its_own_code_and_hint(
    changes: dict[str, Any], options: dict[str, Any], code: str, mongodb_server: MongoServer
) -> None:
    server = mongodb_server
    values = {"host": "127.0.0.1", "port": server.port, "username": server.user, "database_name": "admin"}
    connection = Connection(**{**values, "password": server.password, **changes})
    engine = MongoEngine(connection, MongoOptions(**options), {"mongo_bin_dirs": [str(server.tools_dir)]})
    report = engine.check()
    assert (report.ok, report.code) == (False, code), report
    assert report.hint


def test_without_the_tools_the_check_says_how_to_install_them(
    mongodb_server: MongoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("databases.engines.mongodb.tools.INSTALLED", ())
    monkeypatch.setenv("PATH", "")
    engine = engine_to(mongodb_server)
    engine.settings = {}
    report = engine.check()
    assert (report.ok, report.code) == (False, "tool_missing")
    assert report.server_version
    assert "Database Tools" in report.hint and "BACKUPSITE_MONGO_BIN_DIRS" in report.hint
    with pytest.raises(BackupError) as raised:
        engine.preflight(DumpRequest(guard=RecordingGuard()))
    assert (raised.value.code, raised.value.permanent) == ("tool_missing", True)
    assert MongoEngine.tools({}) == ()


def test_a_collection_that_may_not_be_read_fails_the_dump(mongodb_server: MongoServer, sample: str) -> None:
    """Who may list a database need not be one who may read all of it."""
    actions = ["listCollections", "collStats", "listIndexes"]
    listing = [{"resource": {"db": sample, "collection": ""}, "actions": actions}]
    with mongodb_server.client() as client:
        client.admin.command("createRole", "lister", privileges=listing, roles=[])
    mongodb_server.create_user("blind", "blind password", ["lister"])
    try:
        with pytest.raises(BackupError) as raised:
            dump_of(as_user(mongodb_server, "blind", "blind password", sample))
        assert (raised.value.code, raised.value.permanent) == ("permission", True)
        assert raised.value.hint
    finally:
        mongodb_server.drop_user("blind")
        with mongodb_server.client() as client:
            client.admin.command("dropRole", "lister")


@pytest.fixture
def frozen(tmp_path: Path) -> Any:
    """A server of its own that stops in the middle of a dump."""
    with start_mongodb(tmp_path / "server") as server:
        with server.client() as client:
            client.shop.filler.insert_many([{"n": n, "text": "x" * 1000} for n in range(8000)])
        yield server
        os.kill(server.pid, signal.SIGCONT)


def test_a_job_on_a_server_that_hangs_can_be_stopped_at_once(frozen: MongoServer) -> None:
    reason = BackupError("stalled", code="stalled")
    with pytest.raises(BackupError) as raised:
        guard = RecordingGuard()
        with engine_to(frozen, "shop").dump(DumpRequest(guard=guard)) as dump:
            dump.readinto(bytearray(1000))
            os.kill(frozen.pid, signal.SIGSTOP)
            began = _stop_soon(guard, reason)
            while dump.readinto(bytearray(1 << 20)):
                pass
    assert raised.value is reason
    assert time.monotonic() - began < 6 * busy()
    guard = RecordingGuard()  # and now the questions before a dump
    began = _stop_soon(guard, reason)
    with pytest.raises(BackupError) as raised:
        engine_to(frozen, "shop").preflight(DumpRequest(guard=guard))
    assert raised.value is reason
    assert time.monotonic() - began < 3 * busy()
    gc.collect()  # to it the driver leaves the socket of a handshake that was cut off


def _stop_soon(guard: RecordingGuard, reason: Exception) -> float:
    threading.Timer(0.5, guard.stop_with, [reason]).start()
    return time.monotonic()


def test_a_killed_worker_leaves_no_mongodump(frozen: MongoServer) -> None:
    script = textwrap.dedent(f"""
        import os, signal, time
        from databases.engines.base import DumpRequest
        from tests.contracts.engines import RecordingGuard
        from tests.databases.engines.mongodb.conftest import as_user
        from tests.servers.mongodb import MongoServer
        from pathlib import Path
        tools = Path({str(frozen.tools_dir)!r})
        server = MongoServer("127.0.0.1", {frozen.port}, "root", {frozen.password!r}, "6", tools, 0)
        with as_user(server, "root", {frozen.password!r}, "shop").dump(DumpRequest(guard=RecordingGuard())) as dump:
            dump.readinto(bytearray(1000))
            print("running", flush=True)
            time.sleep(60)
    """)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"running\n"
        tools = [one for one in psutil.Process(worker.pid).children(recursive=True) if one.name() == "mongodump"]
        worker.kill()
    assert tools
    _, alive = psutil.wait_procs(tools, timeout=5 * busy())
    assert alive == []


class TestOverTls:
    @pytest.fixture
    def files(self, mongodb_tls: MongoServer) -> dict[str, Any]:
        tls = mongodb_tls.tls
        assert tls is not None
        both = tls.client_cert.read_text() + tls.client_key.read_text()
        return {"ca": tls.ca.read_text(), "certificate_key": both}

    def test_out_and_back(self, mongodb_tls: MongoServer, files: dict[str, Any]) -> None:
        with mongodb_tls.client() as client:
            client.there.things.insert_many([{"n": n} for n in range(100)])
        for options in ({"ca": files["ca"]}, files):
            dumped = dump_of(engine_to(mongodb_tls, "there", tls=True, **options))
            engine = engine_to(mongodb_tls, "back", tls=True, **options)
            engine.restore([dumped.source()], RestoreRequest(guard=RecordingGuard(), drop_existing=True))
            assert content(mongodb_tls, "there") == content(mongodb_tls, "back")

    def test_a_client_certificate_logs_in(self, mongodb_tls: MongoServer, files: dict[str, Any]) -> None:
        subject = f"CN={CERTIFICATE_USER}"
        with mongodb_tls.client() as client:
            client["$external"].command("createUser", subject, roles=[{"role": "root", "db": "admin"}])
            client.there.things.insert_one({"by": "certificate"})
        connection = Connection(mongodb_tls.host, mongodb_tls.port, database_name="there")
        options = MongoOptions(tls=True, auth_source="$external", **files)
        engine = MongoEngine(connection, options, {"mongo_bin_dirs": [str(mongodb_tls.tools_dir)]})
        assert engine.check().ok, engine.check()
        assert dump_of(engine).manifest["counts"]["there.things"]

    def test_an_unknown_authority_is_refused(self, mongodb_tls: MongoServer) -> None:
        report = engine_to(mongodb_tls, "there", tls=True).check()
        assert (report.ok, report.code) == (False, "tls")
        assert "ca" in report.hint
