"""`check_database` tells whether Databases can be backed up, and exits accordingly."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from databases.models import Database
from tests.room import register
from tests.servers.postgres import PostgresServer


@pytest.fixture
def shop(db: None, settings: Any, postgres18: PostgresServer, fresh_database: Callable[..., str]) -> Database:
    settings.BACKUPSITE_ENGINE_SETTINGS = {"pg_bin_dirs": [str(postgres18.bin_dir)]}
    return register(postgres18, fresh_database(postgres18), id="shop")


def test_a_database_that_answers_is_ok(shop: Database, capsys: Any) -> None:
    call_command("check_database", "shop")
    assert capsys.readouterr().out.startswith("OK    shop: server 18")


def test_one_that_does_not_is_status_1_with_a_hint(shop: Database, capsys: Any) -> None:
    Database.objects.create(id="away", name="away", engine="postgres", host="127.0.0.1", port=1, database_name="x")
    with pytest.raises(SystemExit) as end:
        call_command("check_database", "--all", "--json")
    assert end.value.code == 1
    reports = {report["database_id"]: report for report in json.loads(capsys.readouterr().out)}
    assert reports["shop"]["ok"]
    assert not reports["away"]["ok"]


def test_an_unknown_one_is_told(shop: Database, capsys: Any) -> None:
    with pytest.raises(SystemExit) as end:
        call_command("check_database", "nothing")
    assert end.value.code == 1
    assert "hint: Known: shop." in capsys.readouterr().err


@pytest.mark.usefixtures("db")
def test_it_wants_a_database_or_all() -> None:
    with pytest.raises(CommandError):
        call_command("check_database")
