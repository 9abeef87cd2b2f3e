"""Words such as `@daily` are taken wherever a schedule is given."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from backupsite.config.apply import apply_document
from backupsite.config.reading import read_text
from databases.models import Database, Policy
from databases.schedule import WORDS, next_runs
from tests.api import api, make_database, make_destination

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("word", WORDS)
def test_the_api_takes_it_and_says_when_it_is_due(word: str) -> None:
    make_database()
    body = api().patch("/api/databases/shop", {"schedule": word}, format="json").json()
    assert body["schedule"] == word
    due = next_runs(WORDS[word], "UTC", after=datetime.now(tz=UTC), count=1)
    assert body["next_run_at"] == f"{due[0]:%Y-%m-%dT%H:%M:%SZ}"


def test_the_policy_takes_it_from_the_api() -> None:
    assert api().patch("/api/policy", {"schedule": ["@daily", "30 12 * * *"]}, format="json").status_code == 200
    assert Policy.objects.get().schedule == ["@daily", "30 12 * * *"]


def test_the_configuration_as_a_file_takes_it(tmp_path: Path) -> None:
    make_destination(tmp_path)
    given = """
global:
  schedule: "@daily"
databases:
  - {id: shop, engine: postgres, host: db, username: u, database_name: shop, schedule: ["@hourly", "30 3 * * *"]}
"""
    apply_document(document=read_text(given, environ={}))
    assert Policy.objects.get().schedule == "@daily"
    assert Database.objects.get().schedule == ["@hourly", "30 3 * * *"]
