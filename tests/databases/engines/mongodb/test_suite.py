"""MongoDB passes the engine suite."""

from collections.abc import Callable

import pytest

from databases.engines.base import Engine
from tests.contracts.engine_suite import EngineSuite
from tests.databases.engines.mongodb.conftest import as_user, content
from tests.servers.mongodb import MongoServer


class TestMongo(EngineSuite):
    @pytest.fixture
    def engine(self, mongodb_server: MongoServer, canary_user: tuple[str, str], sample: str) -> Engine:
        return as_user(mongodb_server, *canary_user, sample)

    @pytest.fixture
    def target(
        self, mongodb_server: MongoServer, canary_user: tuple[str, str], fresh_mongo_database: Callable[[], str]
    ) -> Engine:
        return as_user(mongodb_server, *canary_user, fresh_mongo_database())

    @pytest.fixture(autouse=True)
    def _server(self, mongodb_server: MongoServer) -> None:
        self.server = mongodb_server

    def same(self, engine: Engine, target: Engine) -> bool:
        one, other = (content(self.server, one.connection.database_name) for one in (engine, target))
        return one == other
