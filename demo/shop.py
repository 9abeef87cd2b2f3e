"""The sample shop: makes its role and databases on a PostgreSQL server, and fills one of them."""

import secrets
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection

from tests.servers.postgres import PostgresServer

ROLE = "shop"
SCRIPT = Path(__file__).with_name("shop.sql")


@dataclass(frozen=True)
class Shop:
    """Where the shop's databases are. Its role owns them and is no superuser, as a backup user should not be."""

    server: PostgresServer
    password: str = field(repr=False)

    def connect(self, database: str) -> connection:
        return psycopg2.connect(
            host=self.server.host, port=self.server.port, user=ROLE, password=self.password, dbname=database
        )

    def registration(self, database: str) -> dict[str, object]:
        """The connection fields of `POST /api/databases`."""
        return {
            "engine": "postgres",
            "host": self.server.host,
            "port": self.server.port,
            "username": ROLE,
            "password": self.password,
            "database_name": database,
        }

    def environment(self) -> dict[str, str]:
        """For this role's client processes."""
        return {**self.server.environment(), "PGUSER": ROLE, "PGPASSWORD": self.password}

    def create_database(self, name: str) -> None:
        self.server.psql(f"CREATE DATABASE {name} OWNER {ROLE}")

    def fill(self, database: str, *, percent: int = 100) -> int:
        """Runs shop.sql (100 percent: about 245 MB); returns the database's size in bytes."""
        with closing(self.connect(database)) as session, session, session.cursor() as cursor:
            cursor.execute("SELECT set_config('shop.percent', %s, false)", [str(percent)])
            cursor.execute(SCRIPT.read_text(encoding="utf-8"))
        return int(self.server.psql(f"SELECT pg_database_size('{database}')"))


def open_shop(server: PostgresServer) -> Shop:
    """Makes the shop's role with a fresh password that a careless tool would trip over."""
    password = f"{secrets.token_hex(12)}:'\\ $"
    server.psql(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{password.replace(chr(39), chr(39) * 2)}'")
    return Shop(server, password)
