"""A drill's comparison finds nothing in what came back whole, and each thing that did not."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace

import psycopg2
import pytest

from databases.engines.base import DumpRequest, Engine
from databases.engines.postgres import budget, counts, facts
from databases.engines.proof import MAX_DIFFERENCES
from tests.contracts.engines import Dumped, RecordingGuard, dump_of
from tests.databases.engines.postgres.conftest import SAMPLE, engine_to
from tests.databases.engines.postgres.drills import MORE, compared, found, restored
from tests.servers.postgres import PostgresServer

FreshDatabase = Callable[[PostgresServer], str]
KINDS = {
    *("table", "rows", "row_hash", "extension", "large_objects", "sequence", "sequence_value", "index", "index_valid"),
    *("constraint", "view", "trigger", "policy", "function"),
}


@pytest.fixture(scope="module", autouse=True)
def _time_for_everything() -> Iterator[None]:
    """However loaded the machine is: these tests are about what is compared, not about what fits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(budget, "FLOOR_S", 60.0)
        yield


@pytest.fixture(scope="module")
def rich(postgres14: PostgresServer, postgres18: PostgresServer) -> Iterator[str]:
    """A database of that name on both servers."""
    name = f"rich_{secrets.token_hex(4)}"
    for server in (postgres14, postgres18):
        server.create_database(name)
        server.psql(SAMPLE + MORE, name)
    yield name
    for server in (postgres14, postgres18):
        server.drop_database(name)


@pytest.mark.parametrize("layout", ["custom", "plain"])
@pytest.mark.parametrize(("old", "new"), [(14, 14), (14, 18), (18, 18)])
def test_what_came_back_whole_has_no_difference(
    old: int, new: int, layout: str, rich: str, postgres: Callable[[int], PostgresServer]
) -> None:
    dumped = dump_of(engine_to(postgres(old), rich, format=layout))
    assert dumped.manifest["facts"]["not_taken"] == {}
    rowful = set(dumped.manifest["counts"])
    assert set(dumped.manifest["facts"]["row_hashes"]) == rowful
    with restored(dumped, engine_to(postgres(new), "postgres")) as scratch:
        comparison = compared(dumped, scratch)
    assert (comparison.differences, comparison.total, comparison.notes) == ((), 0, ())
    assert set(comparison.checked) >= KINDS
    assert comparison.checked["row_hash"] == comparison.checked["rows"] == len(rowful)
    assert comparison.server_version.startswith(str(new))


@pytest.fixture(scope="module")
def dumped(rich: str, postgres18: PostgresServer) -> Dumped:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(budget, "FLOOR_S", 60.0)
        return dump_of(engine_to(postgres18, rich))


@pytest.fixture(scope="module")
def whole(dumped: Dumped, postgres18: PostgresServer) -> Iterator[Engine]:
    """Restored once; tests tamper with copies of it."""
    with restored(dumped, engine_to(postgres18, "postgres")) as scratch:
        yield scratch


@pytest.fixture
def tampered(whole: Engine, postgres18: PostgresServer) -> Iterator[Callable[[str], Engine]]:
    name = f"tampered_{secrets.token_hex(4)}"

    def tamper(sql: str) -> Engine:
        postgres18.psql(f"CREATE DATABASE {name} TEMPLATE {whole.connection.database_name}")
        connection = psycopg2.connect(postgres18.dsn(name))
        with connection, connection.cursor() as cursor:
            cursor.execute(sql)
        connection.close()
        return type(whole)(replace(whole.connection, database_name=name), whole.options, whole.settings)

    yield tamper
    postgres18.drop_database(name)


CORRUPTIONS = {
    "a lost row": (
        "ALTER TABLE shop.orders DISABLE TRIGGER ALL; DELETE FROM shop.orders WHERE id = 30000",
        [("rows", "shop.orders"), ("row_hash", "shop.orders")],
    ),
    "a changed row": (
        "UPDATE shop.orders SET amount = amount + 0.01 WHERE id = 29999",
        [("row_hash", "shop.orders")],
    ),
    "two rows that swapped a value": (
        "UPDATE odd.unlogged SET said = CASE id WHEN 1 THEN 'ü2' ELSE 'ü1' END WHERE id IN (1, 2)",
        [("row_hash", "odd.unlogged")],
    ),
    "a value that is another of the same look": (
        "UPDATE odd.floats SET f8 = 0.0 WHERE f8 = 0",
        [("row_hash", "odd.floats")],
    ),
    "a row in the wrong partition's table": (
        (
            "ALTER TABLE public.events DETACH PARTITION public.events_rest;"
            "INSERT INTO public.events_rest SELECT * FROM public.events_2024 LIMIT 1"
        ),
        [("rows", "public.events_rest"), ("row_hash", "public.events_rest")],
    ),
    "a missing table": ("DROP TABLE odd.floats", [("table", "odd.floats")]),
    "a table nobody expected": ("CREATE TABLE odd.extra (id int)", [("table", "odd.extra")]),
    "a missing index": ("DROP INDEX shop.orders_placed", [("index", "shop.orders_placed")]),
    "an invalid index": (
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'shop.orders_placed'::regclass",
        [("index_valid", "shop.orders_placed")],
    ),
    "another index by the same name": (
        "DROP INDEX shop.orders_placed; CREATE INDEX orders_placed ON shop.orders (placed)",
        [("index_definition", "shop.orders_placed")],
    ),
    "a missing constraint": (
        "ALTER TABLE shop.orders DROP CONSTRAINT orders_customer_fkey",
        [("constraint", "orders_customer_fkey on shop.orders")],
    ),
    "a weaker constraint": (
        (
            "ALTER TABLE shop.orders DROP CONSTRAINT orders_amount_check, "
            "ADD CONSTRAINT orders_amount_check CHECK (amount >= -1)"
        ),
        [("constraint_definition", "orders_amount_check on shop.orders")],
    ),
    "a domain without its check": (
        "ALTER DOMAIN odd.positive DROP CONSTRAINT positive_check",
        [("constraint", "positive_check on odd.positive")],
    ),
    "a sequence set back": (
        "SELECT setval('shop.orders_id_seq', 29999)",
        [("sequence_value", "shop.orders_id_seq")],
    ),
    "a sequence about to give its last value again": (
        "SELECT setval('shop.orders_id_seq', 30000, false)",
        [("sequence_value", "shop.orders_id_seq")],
    ),
    "a descending sequence set back": (
        "SELECT setval('odd.down', -10)",
        [("sequence_value", "odd.down")],
    ),
    "a missing sequence": ("DROP SEQUENCE odd.unused", [("sequence", "odd.unused")]),
    "a missing extension": (
        "DROP EXTENSION pg_trgm CASCADE",
        [("extension", "pg_trgm"), ("index", "shop.customers_mail_trgm")],
    ),
    "a missing view": ("DROP VIEW odd.named", [("view", "odd.named")]),
    "a missing function": ("DROP AGGREGATE odd.total (int)", [("function", "odd.total(integer)")]),
    "a missing trigger": ("DROP TRIGGER touch ON shop.orders", [("trigger", "touch on shop.orders")]),
    "a missing policy": ("DROP POLICY mine ON shop.orders", [("policy", "mine on shop.orders")]),
    "a missing large object": ("SELECT lo_unlink(4242)", [("large_objects", "")]),
}


@pytest.mark.parametrize("what", CORRUPTIONS)
def test_each_corruption_is_found(what: str, dumped: Dumped, tampered: Callable[[str], Engine]) -> None:
    sql, expected = CORRUPTIONS[what]
    comparison = compared(dumped, tampered(sql))
    assert found(comparison) == expected
    assert comparison.total == len(expected)
    assert all(difference.expected != difference.found for difference in comparison.differences)


def test_a_sequence_that_ran_on_while_the_dump_began_is_no_difference(
    dumped: Dumped, tampered: Callable[[str], Engine]
) -> None:
    assert not compared(dumped, tampered("SELECT nextval('shop.orders_id_seq'), nextval('odd.down')")).total


def test_the_first_differences_are_told_in_a_fixed_order_and_all_are_counted(
    dumped: Dumped, tampered: Callable[[str], Engine]
) -> None:
    tables = "".join(f"CREATE TABLE odd.extra_{number:03} (id int);" for number in range(MAX_DIFFERENCES + 20))
    comparison = compared(dumped, tampered(tables))
    assert comparison.total == MAX_DIFFERENCES + 20
    assert found(comparison) == [("table", f"odd.extra_{number:03}") for number in range(MAX_DIFFERENCES)]
    assert all(difference.expected is None for difference in comparison.differences)


def test_a_manifest_without_facts_is_compared_as_far_as_it_goes(dumped: Dumped, whole: Engine) -> None:
    older = {name: value for name, value in dumped.manifest.items() if name not in ("facts", "collate", "ctype")}
    comparison = whole.compare(older, RecordingGuard())
    assert comparison.total == 0
    assert set(comparison.checked) == {"table", "rows", "extension", "large_objects"}
    assert "before manifests held facts" in comparison.notes[0]


def test_what_the_dump_did_not_take_is_said(dumped: Dumped, whole: Engine) -> None:
    manifest = {**dumped.manifest, "counts": {**dumped.manifest["counts"], "shop.orders": None}}
    taken = dict(dumped.manifest["facts"])
    hashes = {name: fact for name, fact in taken["row_hashes"].items() if name != "odd.base"}
    del taken["functions"]
    manifest["facts"] = {**taken, "row_hashes": hashes, "not_taken": {"functions": "no time"}}
    notes = " ".join(whole.compare(manifest, RecordingGuard()).notes)
    assert "did not count it: shop.orders." in notes
    assert "took none: odd.base." in notes
    assert "functions (no time)" in notes


def test_of_many_definitions_digests_are_kept_and_compared(
    rich: str, postgres18: PostgresServer, tampered: Callable[[str], Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("INDEXES", "CONSTRAINTS"):
        monkeypatch.setattr(facts, name, getattr(facts, name).replace(f"> {facts.MANY} ", "> 1 "))
    dumped = dump_of(engine_to(postgres18, rich))
    monkeypatch.undo()
    assert dumped.manifest["facts"]["indexes"]["shop.orders_pkey"]["definition"].startswith(facts.DIGEST)
    sql, expected = CORRUPTIONS["another index by the same name"]
    assert found(compared(dumped, tampered(sql))) == expected


def test_of_a_large_table_a_sample_is_hashed_that_is_the_same_after_the_restore(
    rich: str, postgres18: PostgresServer, tampered: Callable[[str], Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "HASH_RATE", 1)
    dumped = dump_of(engine_to(postgres18, rich))
    monkeypatch.undo()
    fact = dumped.manifest["facts"]["row_hashes"]["shop.orders"]
    assert fact["from"][0] == 1
    assert 0 < fact["rows"] < 30000
    assert "odd.keyed" not in dumped.manifest["facts"]["row_hashes"], "it has no single integer for a key"
    changed = tampered("UPDATE shop.orders SET amount = 0 WHERE id = 5; DROP TABLE odd.floats")
    assert found(compared(dumped, changed)) == [("table", "odd.floats"), ("row_hash", "shop.orders")]


@pytest.mark.parametrize(
    "narrowed",
    [
        {"include_tables": ("odd.keyed", "odd.unlogged")},
        {"exclude_tables": ("shop.*", "odd.hashed*", "odd.refers", "odd.base", "odd.heir", "odd.named")},
        {"schemas": ("odd",)},
    ],
    ids=["tables", "all but some", "a schema"],
)
def test_a_dump_of_a_part_holds_the_facts_of_that_part(
    narrowed: dict[str, tuple[str, ...]], rich: str, postgres18: PostgresServer
) -> None:
    engine = engine_to(postgres18, rich, **narrowed)
    dumped = dump_of(engine)
    with restored(dumped, engine_to(postgres18, "postgres")) as scratch:
        comparison = compared(dumped, scratch)
    assert (comparison.differences, comparison.notes) == ((), ())
    assert comparison.checked["row_hash"]


def test_facts_and_hashes_are_those_of_the_snapshot(postgres18: PostgresServer, fresh_database: FreshDatabase) -> None:
    name = fresh_database(postgres18)
    postgres18.psql("CREATE TABLE t AS SELECT generate_series(1, 1000) AS id", name)
    data = bytearray()
    with engine_to(postgres18, name).dump(DumpRequest(guard=RecordingGuard())) as dump:
        postgres18.psql("UPDATE t SET id = -id; CREATE TABLE later (id int)", name)
        block = bytearray(1 << 16)
        while count := dump.readinto(block):
            data += block[:count]
        dumped = Dumped(bytes(data), dict(dump.manifest), {})
    with restored(dumped, engine_to(postgres18, "postgres")) as scratch:
        assert compared(dumped, scratch).differences == ()


def test_without_counts_there_are_facts_and_no_hashes(rich: str, postgres18: PostgresServer) -> None:
    found = dump_of(engine_to(postgres18, rich, counts="off")).manifest["facts"]
    assert found["row_hashes"] == {}
    assert found["indexes"]


def test_a_job_that_must_stop_stops_comparing(dumped: Dumped, whole: Engine) -> None:
    class Stopped(Exception):
        pass

    with pytest.raises(Stopped):
        whole.compare(dumped.manifest, RecordingGuard(reason=Stopped()))
