"""An SQLite file passes the engine suite."""

import random
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from databases.engines.base import Connection, Engine
from databases.engines.sqlite.engine import SqliteEngine
from databases.engines.sqlite.options import SqliteOptions
from tests.contracts.engine_suite import EngineSuite


def sample(path: Path, *, rows: int = 8_000) -> None:
    chance = random.Random(5)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, who TEXT NOT NULL, body BLOB, price REAL)")
        database.execute('CREATE TABLE "od""d näme" (a, b, PRIMARY KEY (a)) WITHOUT ROWID')
        database.execute("CREATE INDEX orders_by_who ON orders (who)")
        database.execute("CREATE VIEW dear AS SELECT * FROM orders WHERE price > 0.5")
        found = ((f"who {n}", chance.randbytes(100), chance.random()) for n in range(rows))
        database.executemany("INSERT INTO orders (who, body, price) VALUES (?, ?, ?)", found)
        database.execute("""INSERT INTO "od""d näme" VALUES (1, NULL), ('ü', x'00')""")


def content(path: str) -> object:
    if not Path(path).exists():
        return None
    with closing(sqlite3.connect(path)) as database:
        return list(database.iterdump())


def engine_for(path: Path, folder: Path) -> Engine:
    settings = {"sqlite_folders": [str(folder)], "sqlite_temporary": str(folder / "tmp")}
    return SqliteEngine(Connection(), SqliteOptions(path=str(path)), settings)


class TestSqlite(EngineSuite):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Engine:
        sample(tmp_path / "shop.sqlite3")
        return engine_for(tmp_path / "shop.sqlite3", tmp_path)

    @pytest.fixture
    def target(self, tmp_path: Path) -> Engine:
        return engine_for(tmp_path / "restored.sqlite3", tmp_path)

    def same(self, engine: Engine, target: Engine) -> bool:
        return content(engine.options.path) == content(target.options.path)

    def with_password(self, engine: Engine, password: str) -> Engine:
        """A file has none: what keeps it closed is the folders that a worker may read."""
        return type(engine)(engine.connection, engine.options, {"sqlite_folders": ["/nowhere"]})

    def away(self, engine: Engine) -> Engine:
        path = engine.options.path + "-gone"
        return type(engine)(engine.connection, replace(engine.options, path=path), engine.settings)
