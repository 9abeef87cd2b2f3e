"""The commands of operators, on a real server and a real folder."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from backups.models import Backup, Restore
from databases.models import Database
from jobs.models import Status
from tests.room import back_up, local_destination, register
from tests.servers.postgres import PostgresServer

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """(exit code, stdout, stderr) of a command."""

    def call(*argv: str) -> tuple[int, str, str]:
        try:
            call_command(*argv)
            status = 0
        except SystemExit as end:
            status = int(str(end.code))
        out, err = capsys.readouterr()
        return status, out, err

    return call


@pytest.fixture
def shop(
    transactional_db: None,
    settings: Any,
    postgres18: PostgresServer,
    fresh_database: Callable[..., str],
    tmp_path: Path,
) -> Database:
    settings.BACKUPSITE_ENGINE_SETTINGS = {"pg_bin_dirs": [str(postgres18.bin_dir)]}
    name = fresh_database(postgres18)
    postgres18.psql("CREATE TABLE item AS SELECT n AS id FROM generate_series(1, 10) n", name)
    local_destination(tmp_path / "store")
    return register(postgres18, name, id="shop")


@pytest.fixture
def empty(shop: Database, postgres18: PostgresServer, fresh_database: Callable[..., str]) -> Database:
    return register(postgres18, fresh_database(postgres18), id="empty")


def test_a_backup_here_completes_and_prints_its_id(shop: Database, run: Run) -> None:
    status, out, err = run("backup", "shop", "--here", "--label", "by hand")
    backup = Backup.objects.get()
    assert (status, out) == (0, f"{backup.pk}\n")
    assert (backup.status, backup.label) == ("completed", "by hand")
    assert "completed in" in err


def test_json_is_one_document(shop: Database, run: Run) -> None:
    status, out, _ = run("backup", shop.name, "--here", "--json")
    body = json.loads(out)
    assert status == 0
    assert body["status"] == "completed"
    assert body["size"] > 0
    assert body["error"] is None


def test_include_makes_it_selective(shop: Database, run: Run) -> None:
    run("backup", "shop", "--include", "public.item", "--no-wait")
    assert Backup.objects.get().type == "selective"
    assert Backup.objects.get().status == "pending"


def test_a_failure_is_one_line_a_hint_and_status_1(shop: Database, run: Run) -> None:
    Database.objects.filter(pk="shop").update(secrets={"password": "wrong"})
    status, _, err = run("backup", "shop", "--here")
    lines = err.splitlines()
    assert status == 1
    assert len([line for line in lines if line.startswith("error: ")]) == 1
    assert len([line for line in lines if line.startswith("hint: ")]) == 1
    assert "Traceback" not in err


@pytest.mark.parametrize("name", ["nothing", ""])
def test_an_unknown_database_is_told_what_there_is(shop: Database, run: Run, name: str) -> None:
    status, out, err = run("backup", name)
    assert (status, out) == (1, "")
    assert "hint: Use an id: shop." in err


def test_a_busy_database_is_said_to_be(shop: Database, run: Run) -> None:
    Backup.objects.create(database=shop, database_name="s", engine="postgres", status=Status.IN_PROGRESS)
    status, _, err = run("backup", "shop", "--here")
    assert status == 1
    assert "waits for its turn" in err


def test_the_list_shows_the_newest_first(shop: Database, run: Run) -> None:
    first, second = back_up(shop), back_up(shop)
    _, out, _ = run("backups")
    assert out.index(second.pk) < out.index(first.pk)
    _, out, _ = run("backups", "shop", "--json", "--limit", "1", "--status", "completed")
    assert [row["id"] for row in json.loads(out)] == [second.pk]
    assert json.loads(run("backups", "--json", "--status", "failed")[1]) == []


def test_the_list_can_be_one_databases_only(shop: Database, empty: Database, run: Run) -> None:
    backup = back_up(shop)
    back_up(empty)
    status, out, _ = run("backups", "shop", "--json")
    assert (status, [row["id"] for row in json.loads(out)]) == (0, [backup.pk])
    assert run("backups", "nothing")[0] == 1


def test_a_backup_is_verified(shop: Database, run: Run) -> None:
    backup = back_up(shop)
    status, out, _ = run("verify", backup.pk, "--here", "--json")
    assert status == 0
    assert json.loads(out)["report"]["copies"][0]["ok"]


def test_a_damaged_backup_fails_its_verification(shop: Database, run: Run, tmp_path: Path) -> None:
    backup = back_up(shop)
    file = tmp_path / "store" / backup.copies.get().key
    file.chmod(0o600)
    file.write_bytes(file.read_bytes()[:-1])
    status, _, err = run("verify", "shop", "--here")
    assert status == 1
    assert "error: " in err


def test_a_restore_without_a_terminal_needs_yes(empty: Database, shop: Database, run: Run) -> None:
    backup = back_up(shop)
    status, _, err = run("restore", backup.pk, "empty", "--here")
    assert status == 2
    assert "--yes" in err
    assert not Restore.objects.exists()


def test_a_restore_brings_the_rows_back(empty: Database, shop: Database, run: Run, postgres18: PostgresServer) -> None:
    status, _, err = run("restore", back_up(shop).pk, "empty", "--here", "--yes")
    assert status == 0, err
    assert postgres18.psql("SELECT count(*) FROM item", empty.database_name).strip() == "10"


class _Terminal:
    def __init__(self, text: str) -> None:
        self._text = text

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return self._text


@pytest.mark.parametrize(("typed", "expected"), [("empty\n", 0), ("yes\n", 3), ("", 3)])
def test_a_restore_on_a_terminal_asks_for_the_targets_id(
    empty: Database, shop: Database, run: Run, monkeypatch: pytest.MonkeyPatch, typed: str, expected: int
) -> None:
    backup = back_up(shop)
    monkeypatch.setattr("sys.stdin", _Terminal(typed))
    assert run("restore", backup.pk, "empty", "--here")[0] == expected
    assert Restore.objects.exists() == (expected == 0)


def test_an_encrypted_backup_is_restored_with_a_key_from_a_file(
    empty: Database, shop: Database, run: Run, settings: Any, tmp_path: Path
) -> None:
    Database.objects.filter(pk="shop").update(encryption="age")
    shop.refresh_from_db()
    backup = back_up(shop)
    key = tmp_path / "key.txt"
    key.write_text(f"# made by age-keygen\n{settings.BACKUPSITE_AGE_IDENTITIES[0]}\n")
    settings.BACKUPSITE_AGE_IDENTITIES = []
    assert run("restore", backup.pk, "empty", "--here", "--yes")[0] == 1
    assert run("restore", backup.pk, "empty", "--here", "--yes", "--identity-file", str(key))[0] == 0
    assert run("verify", backup.pk, "--here", "--identity-file", str(tmp_path / "none"))[0] == 1


def test_a_cancelled_job_is_status_3(shop: Database, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def cancel(seconds: float) -> None:
        Backup.objects.update(status=Status.CANCELLED, error_code="cancelled", error_message="The run was cancelled.")

    monkeypatch.setattr("jobs.management.follow.time.sleep", cancel)
    assert run("backup", "shop")[0] == 3


def test_a_script_that_is_stopped_leaves_the_job_alone(
    shop: Database, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("jobs.management.follow.time.sleep", interrupt)
    status, _, err = run("backup", "shop")
    assert status == 1
    assert Backup.objects.get().status == "pending"
    assert "goes on without this terminal" in err
