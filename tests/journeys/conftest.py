"""What every journey needs: the newest clients, which can dump every server."""

from collections.abc import Callable
from typing import Any

import pytest

from databases.engines.postgres import budget
from tests.servers.postgres import PostgresServer


@pytest.fixture(autouse=True)
def newest_clients(settings: Any, postgres: Callable[[int], PostgresServer]) -> None:
    settings.BACKUPSITE_ENGINE_SETTINGS = {"pg_bin_dirs": [str(postgres(18).bin_dir), str(postgres(14).bin_dir)]}


@pytest.fixture(autouse=True)
def time_to_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are counted as far as a fraction of a second allows: on a busy machine that is not far."""
    monkeypatch.setattr(budget, "FLOOR_S", 60.0)
