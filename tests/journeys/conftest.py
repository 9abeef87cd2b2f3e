"""What every journey needs: the newest clients, which can dump every server."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.servers.postgres import PostgresServer


@pytest.fixture(autouse=True)
def newest_clients(settings: Any, postgres: Callable[[int], PostgresServer]) -> None:
    settings.BACKUPSITE_ENGINE_SETTINGS = {"pg_bin_dirs": [str(postgres(18).bin_dir), str(postgres(14).bin_dir)]}
