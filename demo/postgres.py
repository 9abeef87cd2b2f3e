"""The shop as a sample: PostgreSQL."""

from pathlib import Path
from typing import Any, ClassVar

from demo.compare import compare
from demo.opening import open_artefact
from demo.sample import Comparison, Sample
from demo.shop import ROLE, Shop

# Of shop.sql: enough to see a stream move, and all engines together stay below a minute.
SHARE = 50
DATABASES = {"shop": "shop", "shop-restored": "shop_restored"}


class ShopSample(Sample):
    title: ClassVar = "PostgreSQL: a shop"
    source: ClassVar = "shop"
    target: ClassVar = "shop-restored"

    def __init__(self, shop: Shop) -> None:
        self.shop = shop

    def fill(self, *, percent: int = 100) -> str:
        for name in DATABASES.values():
            self.shop.create_database(name)
        return f"{self.shop.fill(DATABASES[self.source], percent=max(1, percent * SHARE // 100)) / 1e6:.0f} MB of shop"

    def registration(self, identifier: str) -> dict[str, Any]:
        return self.shop.registration(DATABASES[identifier])

    def open(self, artefacts: list[Path], identity: Path) -> str:
        pg_restore = [str(self.shop.server.bin_dir / "pg_restore"), "--verbose", "--file=/dev/null"]
        opened = open_artefact(artefacts[0], identity=identity, tool=pg_restore)
        objects = sum(1 for line in opened.said.splitlines() if line.startswith("pg_restore: creating "))
        return f"{opened.how}: {objects} objects"

    def compare(self) -> Comparison:
        result = compare(self.shop, DATABASES[self.source], DATABASES[self.target])
        found = f"{result.schema_lines} lines of schema, {result.tables} tables, {result.rows:,} rows, "
        return Comparison(f"{found}{result.large_objects} large objects", result.differences)

    def access(self) -> str:
        server = self.shop.server
        return f"{server.host}:{server.port}, {' and '.join(DATABASES.values())}, {ROLE} / {self.shop.password}"
