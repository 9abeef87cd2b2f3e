"""What the bench runs on: one PostgreSQL with the sample shop, one Backupsite, all contestants on the same disk."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.client import Client
from demo.shop import Shop, open_shop
from demo.site import Site, running_site
from tests.servers.fetch import postgres_bin
from tests.servers.postgres import start_postgres

POSTGRES = 18
SOURCE, TARGET, TINY = "shop", "shop_restored", "tiny"
SHOP_MB_AT_100_PERCENT = 225  # a little less than it makes, so that no database is smaller than asked for
# Durable as a server in production (the test servers are not), and nothing in the background that hits one run only.
SERVER = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "autovacuum": "off"}
VARIANTS: dict[str, dict[str, str]] = {
    "zstd": {"compression": "zstd", "encryption": "none"},
    "age": {"compression": "zstd", "encryption": "age"},
    "gzip": {"compression": "gzip", "encryption": "none"},
}


@dataclass(frozen=True)
class World:
    """`size` is the source database's, in bytes."""

    folder: Path
    shop: Shop
    site: Site
    client: Client
    size: int

    @property
    def tools(self) -> Path:
        return self.shop.server.bin_dir

    @property
    def out(self) -> Path:
        """Where the other contestants write; on the disk of our destination."""
        return self.folder / "out"

    def settle(self) -> None:
        """The same start for every run: no dirty pages left over from the one before."""
        self.shop.server.psql("CHECKPOINT")
        os.sync()

    def fresh_target(self) -> None:
        self.shop.server.drop_database(TARGET)
        self.shop.create_database(TARGET)

    def worker_pid(self) -> int:
        """The main process of the site's worker."""
        with closing(sqlite3.connect(f"file:{self.site.data}/backupsite.sqlite3?mode=ro", uri=True)) as database:
            row = database.execute(
                "SELECT pid FROM jobs_process WHERE role = 'worker' ORDER BY seen_at DESC"
            ).fetchone()
        return int(row[0])


@contextmanager
def opened_world(folder: Path, *, size_mb: int) -> Iterator[World]:
    """Everything started, filled and registered; stopped and removed at the end, except for the log of a failure."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    (folder / "out").mkdir()
    _need_space(folder, size_mb)
    try:
        with start_postgres(POSTGRES, folder / "postgres") as server:
            shop = open_shop(server)
            for name in (SOURCE, TARGET, TINY):
                shop.create_database(name)
            size = shop.fill(SOURCE, percent=max(1, -(-size_mb * 100 // SHOP_MB_AT_100_PERCENT)))
            with closing(shop.connect(TINY)) as session, session, session.cursor() as cursor:
                cursor.execute("CREATE TABLE things AS SELECT n, 'thing ' || n AS name FROM generate_series(1, 10) n")
            for setting, value in SERVER.items():
                server.psql(f"ALTER SYSTEM SET {setting} = {value}")
            server.psql("SELECT pg_reload_conf()")
            server.psql("VACUUM ANALYZE", SOURCE)
            with running_site(folder, pg_bin_dir=postgres_bin(POSTGRES)) as site:
                world = World(folder, shop, site, site.login(), size)
                _register(world)
                yield world
        shutil.rmtree(folder)
    except BaseException:
        for path in folder.iterdir():
            if path.suffix != ".log":  # the error's message points there
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        raise


def _need_space(folder: Path, size_mb: int) -> None:
    needed = 6 * size_mb * 1_000_000
    if (free := shutil.disk_usage(folder).free) < needed:
        raise RuntimeError(
            f"The bench needs {needed / 1e9:.0f} GB on the disk of {folder}, {free / 1e9:.1f} GB are free."
        )


def _register(world: World) -> None:
    for identifier, policy in VARIANTS.items():
        _post(world, identifier, SOURCE, policy)
    for identifier, database in (("target", TARGET), ("tiny", TINY)):
        _post(world, identifier, database, {})


def _post(world: World, identifier: str, database: str, policy: dict[str, Any]) -> None:
    body = {"id": identifier, "name": identifier, "schedule": None, **world.shop.registration(database), **policy}
    world.client.post("/api/databases", body)
