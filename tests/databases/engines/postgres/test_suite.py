"""PostgreSQL passes the engine suite."""

from collections.abc import Callable

import pytest

from databases.engines.base import Engine
from databases.engines.postgres.engine import PostgresEngine
from tests.contracts.engine_suite import EngineSuite
from tests.databases.engines.postgres.compare import content_of, schema_of
from tests.servers.postgres import PostgresServer


class TestPostgres(EngineSuite):
    @pytest.fixture
    def engine(self, canary_engine: Callable[[str], PostgresEngine], sample: str) -> Engine:
        return canary_engine(sample)

    @pytest.fixture
    def target(
        self,
        canary_engine: Callable[[str], PostgresEngine],
        postgres_server: PostgresServer,
        fresh_database: Callable[[PostgresServer], str],
    ) -> Engine:
        return canary_engine(fresh_database(postgres_server))

    @pytest.fixture(autouse=True)
    def _server(self, postgres_server: PostgresServer) -> None:
        self.server = postgres_server

    def same(self, engine: Engine, target: Engine) -> bool:
        names = engine.connection.database_name, target.connection.database_name
        one, other = (content_of(self.server, name) | {"schema": schema_of(self.server, name)} for name in names)
        return one == other
