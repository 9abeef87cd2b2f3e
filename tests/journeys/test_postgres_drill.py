"""A PostgreSQL backup is drilled on a real server: restored, compared, asked, and nothing of it is left."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from backups.models import Backup, Drill
from backups.services.request_drill import request_drill
from backups.services.sign_report import canonical, signature_of
from databases.models import Database
from jobs.errors import BackupError
from jobs.models import Status
from jobs.selectors import log_text
from tests.room import back_up, finish, local_destination, register
from tests.servers.postgres import PostgresServer

pytestmark = pytest.mark.django_db(transaction=True)

SHOP = """
CREATE TABLE item (id int PRIMARY KEY, note text NOT NULL, price numeric CHECK (price >= 0));
CREATE INDEX item_note ON item (note);
CREATE SEQUENCE ticket START 42;
INSERT INTO item SELECT n, md5(n::text), n FROM generate_series(1, 2000) n;
"""
ORDERS = {"name": "all items", "query": "SELECT count(*) FROM item", "operator": "==", "value": 2000}
NO_ORPHANS = {"name": "none is free", "query": "SELECT min(price) > 0 FROM item", "operator": "==", "value": True}


@pytest.fixture
def server(postgres: Callable[[int], PostgresServer], settings: Any) -> PostgresServer:
    found = postgres(18)
    settings.BACKUPSITE_ENGINE_SETTINGS = {"pg_bin_dirs": [str(found.bin_dir)]}
    settings.BACKUPSITE_MAX_ATTEMPTS = 1
    return found


@pytest.fixture
def shop(server: PostgresServer, fresh_database: Callable[[PostgresServer], str], tmp_path: Path) -> Database:
    local_destination(tmp_path / "disk")
    name = fresh_database(server)
    server.psql(SHOP, name)
    return register(server, name, id="shop")


@pytest.fixture
def backup(shop: Database) -> Backup:
    made = back_up(shop)
    assert made.status == Status.COMPLETED, made.error_message
    return made


@pytest.fixture
def drill_server(server: PostgresServer) -> Database:
    return register(server, "postgres", id="drills")


def scratches(server: PostgresServer, drill: Drill) -> str:
    """Of this drill: others may run theirs on the same server."""
    name = f"bsdrill_{drill.pk.removeprefix('drl_')}%"
    return server.psql(f"SELECT count(*) FROM pg_database WHERE datname LIKE '{name}'")


def test_out_and_back_on_a_drill_server(
    backup: Backup, shop: Database, drill_server: Database, server: PostgresServer, tmp_path: Path
) -> None:
    asked = request_drill(database=shop, server=drill_server, assertions=[ORDERS, NO_ORPHANS])
    done = finish(asked)
    assert done.status == Status.COMPLETED, (done.error_message, log_text(done))
    backup.refresh_from_db()
    assert backup.proven_at is not None
    assert scratches(server, done) == "0" and done.scratch == ""
    report = done.report
    assert report["verdict"] == "proven" and report["comparison"]["difference_count"] == 0
    assert sum(report["comparison"]["checked"].values()) >= 5
    assert [one["found"] for one in report["assertions"]] == [2000, True]
    assert report["versions"]["scratch_server"].startswith("18")
    assert report["restored"] and report["backup"]["age_s"] > 0
    (tmp_path / "report.json").write_bytes(canonical(report))
    (tmp_path / "report.json.sig").write_bytes(signature_of(done.signature))
    call_command("verify_report", str(tmp_path / "report.json"))
    (tmp_path / "report.json").write_bytes(canonical({**report, "verdict": "failed"}))
    with pytest.raises(SystemExit):
        call_command("verify_report", str(tmp_path / "report.json"))


def test_without_a_drill_server_one_is_thrown_away(backup: Backup, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("drill", backup.pk, "--here", "--json")
    said = json.loads(capsys.readouterr().out)
    assert said["status"] == "completed" and said["report"]["verdict"] == "proven", said
    assert said["report"]["scratch"]["server"] is None


def test_an_assertion_that_does_not_hold_fails_the_drill_and_changes_nothing(
    backup: Backup, drill_server: Database, server: PostgresServer
) -> None:
    writes = {**ORDERS, "query": "DELETE FROM item RETURNING 1"}
    wrong = {**ORDERS, "value": 1999}
    broken = {**ORDERS, "query": "SELECT count(*) FROM nowhere"}
    done = finish(request_drill(backup=backup, server=drill_server, assertions=[wrong, broken, ORDERS]))
    assert (done.status, done.error_code) == (Status.FAILED, "not_proven")
    assert [one["ok"] for one in done.report["assertions"]] == [False, False, True]
    assert "nowhere" in done.report["assertions"][1]["error"]
    assert scratches(server, done) == "0"
    with pytest.raises(BackupError, match="Give a SELECT"):
        request_drill(backup=backup, server=drill_server, assertions=[writes])


def test_a_backup_that_says_more_than_it_holds_is_not_proven(
    backup: Backup, drill_server: Database, server: PostgresServer
) -> None:
    manifest = backup.manifest
    manifest["engine"]["facts"]["indexes"]["public.lost"] = {"table": "public.item", "definition": "", "valid": True}
    Backup.objects.filter(pk=backup.pk).update(manifest=manifest)
    done = finish(request_drill(backup=backup, server=drill_server))
    assert (done.status, done.error_code) == (Status.FAILED, "not_proven")
    assert "index of public.lost: expected" in done.error_message and "found missing" in done.error_message
    backup.refresh_from_db()
    assert backup.proven_at is None and Drill.objects.get().report["comparison"]["difference_count"] == 1
    assert scratches(server, done) == "0"
