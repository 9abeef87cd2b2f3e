"""What the demo's comparison notices. A comparison that calls different databases equal would make the demo a lie."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.compare import compare
from demo.shop import ROLE, Shop, open_shop
from tests.servers.postgres import PostgresServer, start_postgres


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A server of its own: the shop's role has one name, and the shared server may hold another test's."""
    with start_postgres(18, tmp_path_factory.mktemp("shop") / "postgres") as server:
        shop = open_shop(server)
        shop.create_database("shop")
        shop.fill("shop", percent=1)
        yield shop


@pytest.fixture
def copied(shop: Shop, tmp_path: Path) -> Iterator[str]:
    """A faithful copy of the shop, made by stock tools."""
    shop.create_database("copied")
    dump = tmp_path / "shop.dump"
    tools = shop.server.bin_dir
    subprocess.run([tools / "pg_dump", "-Fc", "-f", dump, "shop"], env=shop.environment(), check=True)
    subprocess.run([tools / "pg_restore", "--exit-on-error", "-d", "copied", dump], env=shop.environment(), check=True)
    yield "copied"
    shop.server.drop_database("copied")


def change(server: PostgresServer, sql: str) -> None:
    server.psql(f"SET ROLE {ROLE}; {sql}", "copied")


def test_a_faithful_copy_is_equal(shop: Shop, copied: str) -> None:
    result = compare(shop, "shop", copied)
    assert result.differences == []
    assert result.tables > 20 and result.rows > 10_000 and result.large_objects >= 1


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("UPDATE customers SET loyalty = 0.125 WHERE id = 7", "table public.customers"),
        ("UPDATE orders SET note = NULL WHERE id = 3", "table public.orders"),
        ("DELETE FROM events_2025_03 WHERE id = (SELECT min(id) FROM events_2025_03)", "table public.events_2025_03"),
        ("UPDATE \"Settings & Sürprises\" SET value = '' WHERE value IS NULL", "table public.Settings & Sürprises"),
        ("SELECT setval('invoice_number', 5)", "sequence public.invoice_number"),
        ("SELECT lo_put(min(oid), 0, 'x') FROM pg_largeobject_metadata", "large objects"),
        ("SELECT lo_unlink(min(oid)) FROM pg_largeobject_metadata", "large objects"),
        ("DROP INDEX orders_new", "schema: -CREATE INDEX orders_new"),
        ("COMMENT ON TABLE customers IS NULL", "schema: -COMMENT ON TABLE public.customers"),
    ],
)
def test_a_change_is_found(shop: Shop, copied: str, sql: str, found: str) -> None:
    change(shop.server, sql)
    assert any(line.startswith(found) for line in compare(shop, "shop", copied).differences)


def test_rows_swapped_for_doubles_are_found_although_the_count_agrees(shop: Shop, copied: str) -> None:
    for database, rows in (("shop", "(1), (1), (2), (3)"), (copied, "(2), (2), (2), (3)")):
        sql = f"CREATE TABLE pairs (n int); INSERT INTO pairs VALUES {rows}"
        shop.server.psql(f"SET ROLE {ROLE}; {sql}", database)
    try:
        differences = compare(shop, "shop", copied).differences
    finally:
        shop.server.psql("DROP TABLE pairs", "shop")
    assert any(line.startswith("table public.pairs") for line in differences)
