"""Services that fail are asked again after moments, not seconds; test_retries.py looks at the real pauses."""

import pytest

from databases.engines.http_service import wire


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire.Wire, "pauses_s", (0.02, 0.02, 0.02))
