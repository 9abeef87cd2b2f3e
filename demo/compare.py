"""Are two databases equal? Schema by `pg_dump -s`, rows by count and hash per table, large objects by hash."""

import difflib
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

from psycopg2.extensions import connection, cursor
from psycopg2.sql import SQL, Identifier

from demo.shop import Shop

RELATIONS = """
    SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' ORDER BY 1, 2
"""
SEQUENCES = "SELECT schemaname, sequencename FROM pg_sequences ORDER BY 1, 2"
# The sum of the rows' 64-bit hashes does not depend on their order, and unlike XOR it notices doubled rows.
ROWS = "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)), 0)::text FROM {} t"
OBJECTS = """
    SELECT count(*), coalesce(sum(hashtextextended(oid || ':' || md5(lo_get(oid)), 0)), 0)::text
    FROM pg_largeobject_metadata
"""
LONGEST_DIFF = 40


@dataclass(frozen=True)
class Contents:
    """`figures` maps each table, sequence and the large objects to what must be equal."""

    schema: list[str]
    figures: dict[str, tuple[object, ...]]


@dataclass(frozen=True)
class Comparison:
    """`differences` is empty when both are equal."""

    tables: int
    rows: int
    large_objects: int
    schema_lines: int
    differences: list[str]


def compare(shop: Shop, source: str, restored: str) -> Comparison:
    with ThreadPoolExecutor(2) as both:
        before, after = both.map(lambda name: read_contents(shop, name), (source, restored))
    diff = list(difflib.unified_diff(before.schema, after.schema, source, restored, lineterm="", n=1))
    differences = [f"schema: {line}" for line in diff[:LONGEST_DIFF]]
    for name in sorted(before.figures.keys() | after.figures.keys()):
        one, other = before.figures.get(name), after.figures.get(name)
        if one != other:
            differences.append(f"{name}: {one or 'missing'} in {source}, {other or 'missing'} in {restored}")
    tables = {name: figure for name, figure in before.figures.items() if name.startswith("table ")}
    return Comparison(
        tables=len(tables),
        rows=sum(int(str(figure[0])) for figure in tables.values()),
        large_objects=int(str(before.figures["large objects"][0])),
        schema_lines=len(before.schema),
        differences=differences,
    )


def read_contents(shop: Shop, database: str) -> Contents:
    with closing(shop.connect(database)) as session:
        return Contents(_schema(shop, database), _figures(session))


def _figures(session: connection) -> dict[str, tuple[object, ...]]:
    figures: dict[str, tuple[object, ...]] = {}
    with session.cursor() as rows:
        for name in _names(rows, RELATIONS):
            rows.execute(SQL(ROWS).format(Identifier(*name)))
            figures[f"table {'.'.join(name)}"] = rows.fetchone() or ()
        for name in _names(rows, SEQUENCES):
            rows.execute(SQL("SELECT last_value, is_called FROM {}").format(Identifier(*name)))
            figures[f"sequence {'.'.join(name)}"] = rows.fetchone() or ()
        rows.execute(OBJECTS)
        figures["large objects"] = rows.fetchone() or ()
    return figures


def _names(rows: cursor, query: str) -> list[tuple[str, str]]:
    rows.execute(query)
    return [(schema, name) for schema, name in rows.fetchall()]


def _schema(shop: Shop, database: str) -> list[str]:
    tool = shop.server.bin_dir / "pg_dump"
    done = subprocess.run([tool, "-s", database], env=shop.environment(), capture_output=True, text=True, check=True)
    # Newer clients wrap the script in \restrict and \unrestrict with a token of their own each time.
    return [line for line in done.stdout.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]
