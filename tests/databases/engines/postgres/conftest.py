"""Servers with a rich sample, and engines onto them."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from databases.engines.base import Connection
from databases.engines.postgres.engine import PostgresEngine
from databases.engines.postgres.options import PostgresOptions
from tests.contracts.engine_suite import CANARY
from tests.servers.fetch import postgres_bin
from tests.servers.postgres import PostgresServer

SAMPLE = (Path(__file__).parent / "sample.sql").read_text()
MakeEngine = Callable[..., PostgresEngine]


def client_dirs() -> list[str]:
    return [str(postgres_bin(version)) for version in (14, 18)]


def engine_to(server: PostgresServer, database: str, **options: object) -> PostgresEngine:
    connection = Connection(server.host, server.port, server.user, server.password, database)
    return PostgresEngine(connection, PostgresOptions(**options), {"pg_bin_dirs": client_dirs()})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def sample(postgres_server: PostgresServer) -> Iterator[str]:
    """The name of a database with the sample in it; tests read it only."""
    name = f"sample_{secrets.token_hex(4)}"
    postgres_server.create_database(name)
    postgres_server.psql(SAMPLE, name)
    yield name
    postgres_server.drop_database(name)


@pytest.fixture
def user(postgres_server: PostgresServer) -> Iterator[Callable[[str], str]]:
    """`user(password)` makes a superuser role with that password."""
    made: list[str] = []

    def make(password: str) -> str:
        name = f"role_{secrets.token_hex(4)}"
        quoted = password.replace("\\", "\\\\").replace("'", "''")
        postgres_server.psql(f"CREATE ROLE {name} SUPERUSER LOGIN PASSWORD E'{quoted}'")
        made.append(name)
        return name

    yield make
    for name in made:
        postgres_server.psql(f"DROP ROLE {name}")


@pytest.fixture
def canary_engine(postgres_server: PostgresServer, user: Callable[[str], str]) -> Callable[[str], PostgresEngine]:
    """Engines that log in with a password that holds the canary."""
    password = f"{CANARY}:\\'\" x"
    name = user(password)

    def make(database: str) -> PostgresEngine:
        plain = engine_to(postgres_server, database)
        connection = Connection(postgres_server.host, postgres_server.port, name, password, database)
        return PostgresEngine(connection, plain.options, plain.settings)

    return make
