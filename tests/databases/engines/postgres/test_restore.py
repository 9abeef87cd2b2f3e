"""A restore is all or nothing, and says why it was nothing."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from databases.engines.base import DumpRequest, RestoreRequest
from jobs.errors import BackupError
from tests.contracts.engines import Dumped, RecordingGuard, dump_of
from tests.databases.engines.postgres.compare import content_of, schema_of
from tests.databases.engines.postgres.conftest import engine_to
from tests.servers.postgres import PostgresServer

FreshDatabase = Callable[[PostgresServer], str]


@pytest.fixture
def dumped(sample: str, postgres_server: PostgresServer) -> Dumped:
    return dump_of(engine_to(postgres_server, sample))


@pytest.fixture
def used(postgres_server: PostgresServer, fresh_database: FreshDatabase) -> str:
    """A target with contents of its own."""
    name = fresh_database(postgres_server)
    postgres_server.psql(
        "CREATE EXTENSION citext; CREATE SCHEMA old; CREATE TABLE old.t AS SELECT generate_series(1, 50) AS id;"
        "CREATE TABLE public.orders (id citext); CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';"
        "CREATE TYPE colour AS ENUM ('red'); CREATE DOMAIN d AS int;"
        "CREATE AGGREGATE agg(int) (sfunc = int4pl, stype = int);"
        "SELECT lo_create(0); CREATE TYPE pair AS (a int, b colour); CREATE PUBLICATION pub FOR ALL TABLES;",
        name,
    )
    return name


def _restore(server: PostgresServer, name: str, dumped: Dumped, *include: str, drop: bool = False) -> tuple[str, ...]:
    request = RestoreRequest(guard=RecordingGuard(), drop_existing=drop, include=include)
    return engine_to(server, name).restore([dumped.source()], request).notes


def test_drop_existing_leaves_nothing_of_the_old(
    dumped: Dumped, used: str, sample: str, postgres_server: PostgresServer
) -> None:
    _restore(postgres_server, used, dumped, drop=True)
    assert schema_of(postgres_server, used) == schema_of(postgres_server, sample)
    assert content_of(postgres_server, used) == content_of(postgres_server, sample)


def test_a_failed_restore_leaves_the_old_contents(dumped: Dumped, used: str, postgres_server: PostgresServer) -> None:
    before = content_of(postgres_server, used), schema_of(postgres_server, used)
    wrong = replace(dumped, manifest={**dumped.manifest, "counts": {"shop.orders": 29999}})
    with pytest.raises(BackupError) as raised:
        _restore(postgres_server, used, wrong, drop=True)
    assert "shop.orders holds 30000 rows, the backup holds 29999" in raised.value.message
    assert (content_of(postgres_server, used), schema_of(postgres_server, used)) == before


@pytest.mark.parametrize("layout", ["custom", "plain"])
def test_the_first_sql_error_ends_it_loudly(
    layout: str, postgres_server: PostgresServer, fresh_database: FreshDatabase
) -> None:
    """Rows that break a constraint: they were written before it was checked for all."""
    name, back = fresh_database(postgres_server), fresh_database(postgres_server)
    postgres_server.psql(
        "CREATE TABLE a AS SELECT generate_series(1, 100000) AS id; CREATE TABLE b (id int);"
        "INSERT INTO b VALUES (1); ALTER TABLE b ADD CONSTRAINT odd CHECK (id = 2) NOT VALID;",
        name,
    )
    dumped = dump_of(engine_to(postgres_server, name, format=layout))
    # The constraint is made before the rows come back, as an operator's own mistake would be.
    broken = replace(dumped, data=dumped.data.replace(b"CREATE TABLE public.b (", b"CREATE TABLE public.a ("))
    with pytest.raises(BackupError) as raised:
        _restore(postgres_server, back, broken)
    assert "already exists" in raised.value.message
    assert content_of(postgres_server, back) == content_of(postgres_server, fresh_database(postgres_server))


def test_a_cut_archive_restores_nothing(dumped: Dumped, used: str, postgres_server: PostgresServer) -> None:
    before = content_of(postgres_server, used)
    cut = replace(dumped, data=dumped.data[: len(dumped.data) // 2])
    with pytest.raises(BackupError) as raised:
        _restore(postgres_server, used, cut, drop=True)
    assert raised.value.code == "structure"
    assert content_of(postgres_server, used) == before


def test_a_cut_script_restores_nothing(sample: str, used: str, postgres_server: PostgresServer) -> None:
    whole = dump_of(engine_to(postgres_server, sample, format="plain"))
    before = content_of(postgres_server, used)
    cut = replace(whole, data=whole.data[: len(whole.data) // 2])
    with pytest.raises(BackupError):
        _restore(postgres_server, used, cut, drop=True)
    assert content_of(postgres_server, used) == before


def test_selected_tables_come_whole_and_nothing_else(
    dumped: Dumped, postgres_server: PostgresServer, fresh_database: FreshDatabase
) -> None:
    back = fresh_database(postgres_server)
    notes = _restore(postgres_server, back, dumped, "shop.orders", "public.events")
    tables = set(content_of(postgres_server, back)) - {"large objects", "sequences"}
    assert tables == {"shop.orders", "public.events_2024", "public.events_rest"}
    assert postgres_server.psql("SELECT count(*) FROM shop.orders", back) == "30000"
    assert postgres_server.psql("SELECT nextval('shop.orders_id_seq')", back) == "30001"
    indexes = postgres_server.psql("SELECT indexname FROM pg_indexes WHERE schemaname = 'shop' ORDER BY 1", back)
    assert indexes.splitlines() == ["orders_pkey", "orders_placed"]
    assert any("orders_customer_fkey" in note for note in notes)


def test_a_lost_table_comes_back_beside_the_others(
    dumped: Dumped, postgres_server: PostgresServer, fresh_database: FreshDatabase, sample: str
) -> None:
    back = fresh_database(postgres_server)
    _restore(postgres_server, back, dumped)
    postgres_server.psql("DROP TABLE public.types; DELETE FROM public.child", back)
    _restore(postgres_server, back, dumped, "public.types")
    _restore(postgres_server, back, dumped, "child", drop=True)
    assert content_of(postgres_server, back) == content_of(postgres_server, sample)
    with pytest.raises(BackupError) as raised:
        _restore(postgres_server, back, dumped, "public.types")
    assert raised.value.code == "target_not_empty"


def test_names_the_backup_does_not_hold_are_refused(dumped: Dumped, used: str, postgres_server: PostgresServer) -> None:
    with pytest.raises(BackupError) as raised:
        _restore(postgres_server, used, dumped, "shop.nothing")
    assert (raised.value.code, raised.value.permanent) == ("nothing_matches", True)


def test_selected_tables_of_a_plain_dump_are_refused(sample: str, postgres_server: PostgresServer, used: str) -> None:
    plain = dump_of(engine_to(postgres_server, sample, format="plain"))
    with pytest.raises(BackupError) as raised:
        _restore(postgres_server, used, plain, "shop.orders")
    assert (raised.value.code, raised.value.permanent) == ("unsupported", True)


def test_a_role_the_target_lacks_is_left_out_and_said(
    postgres_server: PostgresServer, fresh_database: FreshDatabase
) -> None:
    name, back = fresh_database(postgres_server), fresh_database(postgres_server)
    postgres_server.psql("CREATE ROLE passing; CREATE TABLE t (id int); ALTER TABLE t OWNER TO passing;", name)
    custom, plain = (dump_of(engine_to(postgres_server, name, format=layout)) for layout in ("custom", "plain"))
    postgres_server.psql("DROP OWNED BY passing; DROP ROLE passing", name)
    notes = _restore(postgres_server, back, custom)
    assert any("passing" in note for note in notes)
    with pytest.raises(BackupError) as raised:
        _restore(postgres_server, back, plain, drop=True)
    assert raised.value.code == "missing_roles"


def test_a_selective_dump_restores_into_an_empty_database(
    sample: str, postgres_server: PostgresServer, fresh_database: FreshDatabase
) -> None:
    for layout in ("custom", "plain"):
        back = fresh_database(postgres_server)
        request = DumpRequest(
            guard=RecordingGuard(),
            type="selective",
            include=('"Ünï code. schema".*', "public.p*"),
            exclude=("*.parent",),
        )
        engine = engine_to(postgres_server, sample, format=layout)
        dumped = dump_of(engine, replace(request, include=('"Ünï code. schema".*', "public.empt?")))
        assert len(dumped.manifest["counts"]) == 2
        _restore(postgres_server, back, dumped)
        assert (
            postgres_server.psql(
                'SELECT count(*) FROM "Ünï code. schema"."Weird ""name"" with . and a very long tail 0123456789 ☃☃"',
                back,
            )
            == "3"
        )


def test_a_target_with_few_locks_gets_many_transactions(
    dumped: Dumped, used: str, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch, sample: str
) -> None:
    monkeypatch.setattr("databases.engines.postgres.target.locks", lambda session: 10)
    notes = _restore(postgres_server, used, dumped, drop=True)
    assert any("max_locks_per_transaction" in note for note in notes)
    assert content_of(postgres_server, used) == content_of(postgres_server, sample)


@pytest.fixture
def layered(postgres_server: PostgresServer, fresh_database: FreshDatabase) -> Dumped:
    """A table, a view on it and a materialized view on that, with no counts that a restore could compare."""
    name = fresh_database(postgres_server)
    postgres_server.psql(
        "CREATE TABLE t AS SELECT generate_series(1, 50) AS id; CREATE VIEW v AS SELECT id FROM t;"
        "CREATE MATERIALIZED VIEW m AS SELECT id FROM v;",
        name,
    )
    return dump_of(engine_to(postgres_server, name, counts="off"))


def test_a_view_does_not_bring_its_table_without_rows(
    layered: Dumped, postgres_server: PostgresServer, fresh_database: FreshDatabase
) -> None:
    back = fresh_database(postgres_server)
    with pytest.raises(BackupError) as raised:
        _restore(postgres_server, back, layered, "v")
    assert (raised.value.code, "public.t" in raised.value.message) == ("incomplete_selection", True)
    _restore(postgres_server, back, layered, "t", "v")
    assert postgres_server.psql("SELECT count(*) FROM v", back) == "50"


def test_selected_views_are_replaced_with_their_tables(
    layered: Dumped, postgres_server: PostgresServer, fresh_database: FreshDatabase
) -> None:
    back = fresh_database(postgres_server)
    _restore(postgres_server, back, layered)
    postgres_server.psql("DELETE FROM t; REFRESH MATERIALIZED VIEW m", back)
    _restore(postgres_server, back, layered, "t", "v", "m", drop=True)
    assert postgres_server.psql("SELECT (SELECT count(*) FROM v), (SELECT count(*) FROM m)", back) == "50|50"


@pytest.mark.parametrize(
    "column",
    [
        "card text UNIQUE",  # DETAIL: Key (card)=(...) already exists.
        "card text CHECK (length(card) < 3)",  # DETAIL: Failing row contains (...), CONTEXT: COPY t, line 1: "..."
        "card int",  # CONTEXT: COPY t, line 1, column card: "..."
    ],
)
def test_an_error_quotes_no_row(column: str, postgres_server: PostgresServer, fresh_database: FreshDatabase) -> None:
    name, back = fresh_database(postgres_server), fresh_database(postgres_server)
    postgres_server.psql("CREATE TABLE t (card text); INSERT INTO t VALUES ('4111-canary'), ('4111-canary')", name)
    dumped = dump_of(engine_to(postgres_server, name, format="plain"))
    broken = replace(dumped, data=dumped.data.replace(b"card text", column.encode()))
    with pytest.raises(BackupError) as raised:
        _restore(postgres_server, back, broken)
    message = raised.value.message
    assert "ERROR" in message
    quoted = message.replace('type integer: "4111-canary"', "") if column == "card int" else message
    assert "canary" not in quoted, message
