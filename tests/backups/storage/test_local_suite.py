"""A local Destination passes the suite."""

from collections.abc import Callable

import pytest

from backups.storage.local import LocalStorage
from tests.contracts.destination_suite import DestinationSuite


class TestLocalStorage(DestinationSuite):
    has_links = False

    @pytest.fixture
    def storage(self, local: LocalStorage) -> LocalStorage:
        return local

    @pytest.fixture
    def leftovers(self, local: LocalStorage) -> Callable[[], list[str]]:
        return lambda: [str(path) for path in local.root.rglob("*.partial")]
