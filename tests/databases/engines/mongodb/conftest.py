"""A server with a rich sample, and engines onto it."""

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from databases.engines.base import Connection
from databases.engines.mongodb.engine import MongoEngine
from databases.engines.mongodb.options import MongoOptions
from tests.contracts.engine_suite import CANARY
from tests.databases.engines.mongodb.sample import content_of, fill
from tests.servers.mongodb import MongoServer

MakeEngine = Callable[..., MongoEngine]


def engine_to(server: MongoServer, database: str = "", **options: Any) -> MongoEngine:
    connection = Connection(server.host, server.port, server.user, server.password, database)
    return MongoEngine(connection, MongoOptions(**options), {"mongo_bin_dirs": [str(server.tools_dir)]})


def as_user(server: MongoServer, name: str, password: str, database: str = "", **options: Any) -> MongoEngine:
    connection = Connection(server.host, server.port, name, password, database)
    return MongoEngine(connection, MongoOptions(**options), {"mongo_bin_dirs": [str(server.tools_dir)]})


def content(server: MongoServer, database: str) -> dict[str, Any]:
    with server.client() as client:
        return content_of(client[database])


@pytest.fixture(scope="module")
def sample(mongodb_server: MongoServer) -> Iterator[str]:
    """The name of a database with the sample in it; tests read it only."""
    name = f"sample_{secrets.token_hex(4)}"
    with mongodb_server.client() as client:
        fill(client[name])
    yield name
    mongodb_server.drop_database(name)


@pytest.fixture(scope="module")
def canary_user(mongodb_server: MongoServer) -> Iterator[tuple[str, str]]:
    """A root user whose password holds the canary."""
    name, password = f"user_{secrets.token_hex(4)}", f"{CANARY}:/@\\'\" x%"
    mongodb_server.create_user(name, password, ["root"])
    yield name, password
    mongodb_server.drop_user(name)
