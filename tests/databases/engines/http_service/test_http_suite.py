"""A service passes the engine suite."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from databases.engines.base import Engine
from tests.contracts.engine_suite import CANARY, EngineSuite
from tests.databases.engines.http_service.services import engine_for
from tests.servers.records import RecordsServer, sample, start_records


class TestHttp(EngineSuite):
    nothing_is_whole = True

    @pytest.fixture
    def engine(self, records_service: RecordsServer) -> Engine:
        sample(records_service, 800)
        return self._engine(records_service)

    @pytest.fixture
    def target(self) -> Iterator[Engine]:
        with start_records() as service:
            service.fill("users", [])
            self.restored = service
            yield self._engine(service)

    @pytest.fixture(autouse=True)
    def _service(self, records_service: RecordsServer) -> None:
        self.source = records_service

    def _engine(self, service: RecordsServer) -> Engine:
        service.basic = ("backup", f"pass {CANARY} é:")
        options = {"auth": "basic", "username": "backup", "password": service.basic[1]}
        return engine_for(service, "page", collection="users, orders", page_param="page", **options)

    def same(self, engine: Engine, target: Engine) -> bool:
        return self.source.collections == self.restored.collections

    def away(self, engine: Engine) -> Engine:
        options = replace(engine.options, url="http://127.0.0.1:1/{collection}")
        return type(engine)(engine.connection, options, engine.settings)
