"""The rich sample goes out and comes back equal, in both formats, within a version and to a newer one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from databases.engines.base import DumpRequest, RestoreRequest
from databases.engines.postgres import budget
from jobs.errors import BackupError
from tests.contracts.engines import RecordingGuard, dump_of
from tests.databases.engines.postgres.compare import content_of, schema_of
from tests.databases.engines.postgres.conftest import SAMPLE, engine_to
from tests.servers.fetch import postgres_bin
from tests.servers.postgres import PostgresServer

FreshDatabase = Callable[[PostgresServer], str]


@pytest.mark.parametrize("layout", ["custom", "plain"])
def test_the_sample_comes_back_equal(
    layout: str, sample: str, postgres_server: PostgresServer, fresh_database: FreshDatabase
) -> None:
    dumped = dump_of(engine_to(postgres_server, sample, format=layout))
    back = fresh_database(postgres_server)
    report = engine_to(postgres_server, back).restore([dumped.source()], RestoreRequest(guard=RecordingGuard()))
    assert schema_of(postgres_server, back) == schema_of(postgres_server, sample)
    assert content_of(postgres_server, back) == content_of(postgres_server, sample)
    assert report.counts["shop.orders"] == 30000
    assert len(report.notes) == (layout == "plain"), "a plain dump with large objects commits by itself, and says so"


def test_every_table_was_counted_inside_the_snapshot(
    sample: str, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "FLOOR_S", 60.0)  # on a busy machine a fraction of a second is too short
    manifest = dump_of(engine_to(postgres_server, sample)).manifest
    assert manifest["counts"]["shop.customers"] == 2000
    assert manifest["counts"]["public.parent"] == 1, "a child's rows are the child's own"
    assert manifest["uncounted"] == []
    assert manifest["large_objects"] == 2
    assert "pg_trgm" in manifest["extensions"]


def test_counts_are_those_of_the_snapshot_not_of_now(
    postgres_server: PostgresServer, fresh_database: FreshDatabase
) -> None:
    name = fresh_database(postgres_server)
    postgres_server.psql("CREATE TABLE t AS SELECT generate_series(1, 1000) AS id", name)
    with engine_to(postgres_server, name).dump(DumpRequest(guard=RecordingGuard())) as dump:
        postgres_server.psql("INSERT INTO t SELECT generate_series(1, 500)", name)
        while dump.readinto(bytearray(1 << 16)):
            pass
        assert dump.manifest["counts"] == {"public.t": 1000}


def test_counting_can_be_turned_off(sample: str, postgres_server: PostgresServer) -> None:
    manifest = dump_of(engine_to(postgres_server, sample, counts="off")).manifest
    assert set(manifest["counts"].values()) == {None}
    assert "shop.orders" in manifest["uncounted"]


@pytest.fixture(params=["custom", "plain"])
def upgraded(
    request: pytest.FixtureRequest,
    postgres14: PostgresServer,
    postgres18: PostgresServer,
    fresh_database: FreshDatabase,
) -> tuple[str, str]:
    old, new = fresh_database(postgres14), fresh_database(postgres18)
    postgres14.psql(SAMPLE, old)
    dumped = dump_of(engine_to(postgres14, old, format=request.param))
    engine_to(postgres18, new).restore([dumped.source()], RestoreRequest(guard=RecordingGuard()))
    return old, new


def test_a_dump_of_14_restores_into_18(
    upgraded: tuple[str, str], postgres14: PostgresServer, postgres18: PostgresServer
) -> None:
    old, new = upgraded
    assert content_of(postgres14, old) == content_of(postgres18, new)


def test_a_dump_of_18_is_refused_by_14(
    postgres14: PostgresServer, postgres18: PostgresServer, fresh_database: FreshDatabase
) -> None:
    new, old = fresh_database(postgres18), fresh_database(postgres14)
    postgres18.psql("CREATE TABLE t (id int)", new)
    for layout in ("custom", "plain"):
        dumped = dump_of(engine_to(postgres18, new, format=layout))
        with pytest.raises(BackupError) as raised:
            engine_to(postgres14, old).restore([dumped.source()], RestoreRequest(guard=RecordingGuard()))
        assert (raised.value.code, raised.value.permanent) == ("server_too_old", True)
        assert "18" in raised.value.hint


@pytest.mark.parametrize("layout", ["custom", "plain"])
def test_a_newer_client_alone_serves_an_older_server(
    layout: str,
    postgres14: PostgresServer,
    fresh_database: FreshDatabase,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """pg_dump 18 writes a setting that 14 does not know."""
    name, back = fresh_database(postgres14), fresh_database(postgres14)
    postgres14.psql(SAMPLE, name)
    monkeypatch.setattr("databases.engines.postgres.clients.INSTALLED", ())
    monkeypatch.setenv("PATH", str(setpriv_only(tmp_path)))
    engines = [engine_to(postgres14, database, format=layout) for database in (name, back)]
    for engine in engines:
        engine.settings = {"pg_bin_dirs": [str(postgres_bin(18))]}
    dumped = dump_of(engines[0])
    assert dumped.manifest["tool_version"].startswith("18")
    engines[1].restore([dumped.source()], RestoreRequest(guard=RecordingGuard()))
    monkeypatch.undo()
    assert content_of(postgres14, name) == content_of(postgres14, back)


def setpriv_only(folder: Path) -> Path:
    """A PATH that holds the one tool every child needs, and no PostgreSQL client."""
    (folder / "setpriv").symlink_to("/usr/bin/setpriv")
    return folder


def test_only_older_clients_are_refused_with_a_hint(
    postgres18: PostgresServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("databases.engines.postgres.clients.INSTALLED", ())
    monkeypatch.setenv("PATH", str(setpriv_only(tmp_path)))
    engine = engine_to(postgres18, "postgres")
    engine.settings = {"pg_bin_dirs": [str(postgres_bin(14))]}
    report = engine.check()
    assert (report.ok, report.code) == (False, "client_too_old")
    assert "postgresql-client-18" in report.hint
    with pytest.raises(BackupError) as raised:
        engine.preflight(DumpRequest(guard=RecordingGuard()))
    assert raised.value.code == "client_too_old"
