"""What `doctor` says of dump tools."""

from typing import Any

import pytest

from backupsite.management.checks import FAIL, OK, WARN, tools
from databases.models import Database
from databases.services.save import save_database
from tests.servers.mongodb_programs import mongo_tools

pytestmark = pytest.mark.django_db


def _about(word: str) -> list[tuple[str, str, str]]:
    return [finding for finding in tools() if word in finding[1]]


def test_mongodbs_tools_are_named_where_they_are(settings: Any) -> None:
    settings.BACKUPSITE_ENGINE_SETTINGS = {"mongo_bin_dirs": [str(mongo_tools())]}
    assert any(state == OK and str(mongo_tools()) in text for state, text, _ in _about("mongodump"))


def test_missing_tools_fail_only_a_site_that_wants_them_and_come_with_a_hint(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BACKUPSITE_ENGINE_SETTINGS = {}
    monkeypatch.setattr("databases.engines.mongodb.tools.INSTALLED", ())
    monkeypatch.setenv("PATH", "")
    ((state, _, hint),) = _about("MongoDB")
    assert state == WARN
    assert "Database Tools" in hint
    values = {"name": "shop", "engine": "mongodb", "host": "127.0.0.1"}
    save_database(database=Database(), values=values, create=True)
    ((state, _, hint),) = _about("MongoDB")
    assert (state, "Database Tools" in hint) == (FAIL, True)
