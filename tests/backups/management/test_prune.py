"""`manage.py prune` explains each backup, and does what it says."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils import timezone

from backups.destinations import open_storage
from backups.models import Backup, Destination
from databases.models import Database
from tests.api import make_backup, make_database, make_destination

pytestmark = pytest.mark.django_db
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """(exit code, stdout, stderr) of `prune`."""

    def call(*argv: str) -> tuple[int, str, str]:
        try:
            call_command("prune", *argv)
            status = 0
        except SystemExit as end:
            status = int(str(end.code))
        out, err = capsys.readouterr()
        return status, out, err

    return call


@pytest.fixture
def disk(tmp_path: Path) -> Destination:
    destination = make_destination(tmp_path / "disk")
    open_storage(destination).prepare()
    return destination


@pytest.fixture
def shop(disk: Destination) -> Database:
    database = make_database(max_backups=1)
    for days in range(3):
        make_backup(database, destination=disk, finished_at=timezone.now() - timedelta(days=days))
    return database


def statuses() -> list[str]:
    return list(Backup.objects.order_by("-finished_at").values_list("status", flat=True))


def test_a_dry_run_explains_each_backup_and_changes_nothing(shop: Database, run: Run) -> None:
    status, out, err = run("--dry-run")
    assert (status, err) == (0, "Nothing was changed.\n")
    heading, *lines = out.splitlines()
    assert heading == "shop: 1 stay, 2 go"
    assert [line.split("completed    ")[1] for line in lines] == [
        "kept: the last completed one",
        "goes: beyond the newest 1",
        "goes: beyond the newest 1",
    ]
    assert statuses() == ["completed"] * 3


def test_it_prunes_only_the_databases_that_are_named(shop: Database, disk: Destination, run: Run) -> None:
    other = make_database("other", max_backups=1)
    for _ in range(2):
        make_backup(other, destination=disk)
    status, out, err = run("shop", "--json")
    body = json.loads(out)
    assert (status, err) == (0, "2 backups expired, 0 old failures forgotten.\n")
    assert [entry["id"] for entry in body["databases"]] == ["shop"]
    assert [one["action"] for one in body["databases"][0]["backups"]] == ["keep", "expire", "expire"]
    assert len(body["expired"]) == 2
    assert statuses().count("expired") == 2
    assert Backup.objects.filter(database=other, status="completed").count() == 2


def test_what_could_not_be_removed_is_said_and_stays_deleting(shop: Database, disk: Destination, run: Run) -> None:
    (Path(disk.path) / ".backupsite-destination").unlink()  # the disk is not mounted
    status, _, err = run()
    assert status == 1
    assert "2 of them stay `deleting`" in err
    assert statuses() == ["completed", "deleting", "deleting"]


def test_a_database_that_does_not_exist_is_said(shop: Database, run: Run) -> None:
    status, _, err = run("shopp")
    assert status == 1
    assert "No Database is named 'shopp'" in err
