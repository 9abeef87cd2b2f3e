"""The site protects itself: a built-in Database, kept in step with where its rows are."""

import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from backups.models import Backup
from backups.services import protect_self as service
from backups.services.protect_self import SELF_ID, keep_protecting_self, protect_self
from backupsite.config.export import export_config
from databases.engines.postgres import budget
from databases.models import Database, Policy
from databases.selectors import next_runs_of
from databases.services.save import save_database
from jobs.errors import BackupError
from jobs.fields import unseal
from jobs.models import Status
from tests.api import make_database
from tests.room import back_up, local_destination, restore_into
from tests.servers.postgres import PostgresServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def on(settings: Any, tmp_path: Path) -> None:
    settings.BACKUPSITE_SELF_BACKUP = True
    own = str(connection.settings_dict["NAME"])
    settings.BACKUPSITE_ENGINE_SETTINGS = {"sqlite_own": own, "sqlite_temporary": str(tmp_path / "tmp")}


def test_it_is_made_once_daily_encrypted_and_stays_as_an_operator_left_it() -> None:
    made = protect_self()
    assert made is not None
    assert (made.pk, made.engine, made.built_in, made.encryption, made.package) == (
        SELF_ID,
        "sqlite",
        True,
        "age",
        False,
    )
    assert made.options == {"path": str(connection.settings_dict["NAME"])}
    (first,) = next_runs_of(made, Policy(), after=timezone.now(), count=1)
    assert (first.hour, first.minute) == (3, 30)
    save_database(database=made, values={"schedule": "0 * * * *", "enabled": False}, create=False)
    before = Database.objects.values("updated_at", "schedule", "enabled").get()
    call_command("protect_self")
    assert Database.objects.values("updated_at", "schedule", "enabled").get() == before, "not even its time of change"


def test_it_follows_database_url_and_leaves_by_the_switch(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    protect_self()
    moved = {"engine": "postgres", "host": "db", "port": 5432, "username": "site", "password": "p w'", "options": {}}
    moved["database_name"] = "backupsite"
    monkeypatch.setattr(service, "_connection", lambda: moved)
    for _ in range(2):
        protect_self()
    row = Database.objects.get()
    assert (row.engine, row.host, row.options, row.schedule) == ("postgres", "db", {}, service.SCHEDULE)
    assert unseal(row.secrets)["password"] == "p w'"
    settings.BACKUPSITE_SELF_BACKUP = False
    assert protect_self() is None
    assert not Database.objects.exists()


def test_a_database_of_the_operator_under_that_id_is_left_alone(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    make_database(SELF_ID)
    with pytest.raises(BackupError) as raised:
        protect_self()
    assert raised.value.code == "id_taken"
    with caplog.at_level(logging.WARNING):
        keep_protecting_self()
    assert "does not protect itself" in caplog.text
    settings.BACKUPSITE_SELF_BACKUP = False
    protect_self()
    assert Database.objects.get().engine == "postgres"


def test_it_is_no_part_of_an_exported_configuration() -> None:
    protect_self()
    make_database("shop")
    assert [one["id"] for one in yaml.safe_load(export_config())["databases"]] == ["shop"]


def test_its_backup_opens_as_the_sites_database_and_is_never_restored_over_it(tmp_path: Path, settings: Any) -> None:
    local_destination(tmp_path / "disk")
    own = protect_self()
    assert own is not None
    backup = back_up(own)
    assert (backup.status, backup.error_message) == (Status.COMPLETED, "")
    assert backup.manifest["engine"]["counts"]["databases_database"] == 1
    refused = restore_into(own, backup, drop_existing=True)
    assert (refused.status, refused.error_code) == (Status.FAILED, "own_database")
    settings.BACKUPSITE_ENGINE_SETTINGS = {"sqlite_folders": [str(tmp_path)]}
    values = {"id": "elsewhere", "name": "e", "engine": "sqlite", "options": {"path": str(tmp_path / "copy.sqlite3")}}
    there = save_database(database=Database(), values=values, create=True)
    assert restore_into(there, backup).status == Status.COMPLETED
    with closing(sqlite3.connect(tmp_path / "copy.sqlite3")) as database:
        rows = database.execute("SELECT id, status FROM backups_backup").fetchall()
    assert rows == [(backup.pk, Status.IN_PROGRESS)], "of that moment, in which it ran"


def test_on_postgres_its_own_connection_backs_it_up(
    postgres: Callable[[int], PostgresServer],
    fresh_database: Callable[[PostgresServer], str],
    tmp_path: Path,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = postgres(18)
    name = fresh_database(server)
    server.psql("CREATE TABLE backups_backup (id int); INSERT INTO backups_backup VALUES (1)", name)
    settings.BACKUPSITE_ENGINE_SETTINGS = {"pg_bin_dirs": [str(server.bin_dir)]}
    own = {"HOST": server.host, "PORT": server.port, "USER": server.user, "PASSWORD": server.password, "NAME": name}

    class There:
        vendor = "postgresql"
        settings_dict = {**own, "OPTIONS": {"sslmode": "disable", "connect_timeout": 10}}

    monkeypatch.setattr(service, "connection", There)
    monkeypatch.setattr(budget, "FLOOR_S", 60.0)  # on a busy machine a fraction of a second is too short to count
    local_destination(tmp_path / "disk")
    database = protect_self()
    assert database is not None
    assert database.options == {"sslmode": "disable"}
    backup = back_up(database)
    assert (backup.status, backup.error_message) == (Status.COMPLETED, "")
    assert backup.manifest["engine"]["counts"] == {"public.backups_backup": 1}
    assert Backup.objects.get().engine == "postgres"
