"""Rows are held against the store, and lost attempts against what they have left there."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from backups.artefact import sidecar_key
from backups.destinations import open_storage
from backups.models import Backup, Copy, Destination
from backups.services.adopt import adopt
from backups.services.prune import remove_deleting
from backups.services.settle import settle_lost
from jobs.models import Status
from jobs.services.sweep import end_lost
from notifications.models import Event
from tests.backups.services.test_adopt import FULL, SECOND, THIRD, body, put
from tests.room import local_destination

pytestmark = pytest.mark.django_db


@pytest.fixture
def disk(tmp_path: Path) -> Destination:
    """Three backups, as many objects."""
    disk = local_destination(tmp_path / "disk")
    for key in (FULL, SECOND, THIRD):
        put(disk, key, body(key))
    adopt(destinations=[disk])
    return disk


def run(*argv: str) -> int:
    try:
        call_command("reconcile", *argv)
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def test_what_agrees_is_told_to_agree(disk: Destination, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    assert "6 objects, 0 missing, 0 of another size" in capsys.readouterr().out
    assert run("--destination", "nowhere") == 2


def test_missing_and_differing_objects_are_told_and_put_aside_only_when_asked(
    disk: Destination, capsys: pytest.CaptureFixture[str]
) -> None:
    (Path(disk.path) / FULL).unlink()
    (Path(disk.path) / SECOND).write_bytes(b"short")
    assert run() == 1
    told = capsys.readouterr().out
    assert f"missing  {FULL}" in told
    assert f"differs  {SECOND}" in told
    assert set(Copy.objects.values_list("state", flat=True)) == {"stored"}
    assert run("--fix", "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)["destinations"]
    assert (found["missing"], found["differing"], found["put_aside"]) == ([FULL], [SECOND], 2)
    states = dict(Copy.objects.values_list("key", "state"))
    assert states == {FULL: "quarantined", SECOND: "quarantined", THIRD: "stored"}
    assert all(Copy.objects.filter(state="quarantined").values_list("error", flat=True))
    assert Event.objects.filter(kind="verify.failed").count() == 2
    assert (Path(disk.path) / SECOND).exists(), "nothing is deleted"
    assert run() == 0, "what was put aside is no longer expected"


def test_a_store_that_does_not_answer_is_told_and_ends_with_1(
    disk: Destination, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(disk.path).rename(f"{disk.path}-away")
    assert run("--fix") == 1
    assert "error:" in capsys.readouterr().err
    assert set(Copy.objects.values_list("state", flat=True)) == {"stored"}


def lose(key: str = FULL, **values: Any) -> Backup:
    """The row as a restored manager has it: in progress, of a worker that is no more."""
    copy = Copy.objects.get(key=key)
    Copy.objects.filter(pk=copy.pk).update(state="writing")
    given = {
        "status": Status.IN_PROGRESS,
        "lease_token": "0" * 32,
        "lease_expires_at": "2026-03-01T03:00:00Z",
        "max_attempts": 3,
        "sha256": "",
        "size": None,
        "manifest": {},
        "parent": None,
        **values,
    }
    Backup.objects.filter(pk=copy.backup_id).update(**given)
    assert end_lost() == 1
    return Backup.objects.get(pk=copy.backup_id)


@pytest.mark.parametrize("attempts", [3, 1])
def test_a_lost_run_whose_sidecar_is_there_had_completed(disk: Destination, attempts: int) -> None:
    backup = lose(max_attempts=attempts)
    assert backup.status == (Status.SCHEDULED if attempts == 3 else Status.FAILED)
    assert (settle_lost(), remove_deleting()) == (1, 0)
    backup.refresh_from_db()
    assert (backup.status, backup.error_code, backup.size, backup.sha256) == (Status.COMPLETED, "", 8, "ab" * 32)
    assert backup.manifest == body(FULL)
    assert backup.copies.get().state == "stored"
    assert open_storage(disk).stat(FULL)
    assert Event.objects.filter(kind="backup.completed", subject_id=backup.pk).exists()
    assert settle_lost() == 0


def test_without_a_sidecar_or_with_another_object_it_is_removed_as_ever(disk: Destination) -> None:
    open_storage(disk).delete(sidecar_key(FULL))
    (Path(disk.path) / SECOND).write_bytes(b"short")
    rows = [lose(), lose(SECOND)]
    assert (settle_lost(), remove_deleting()) == (2, 2)
    for backup in rows:
        backup.refresh_from_db()
        assert (backup.status, backup.copies.count()) == (Status.SCHEDULED, 0)
    assert [one.key for one in open_storage(disk).list()] == [THIRD, sidecar_key(THIRD)]


def test_while_its_store_is_silent_or_another_attempt_runs_nothing_is_decided(disk: Destination) -> None:
    backup = lose()
    Path(disk.path).rename(f"{disk.path}-away")
    assert (settle_lost(), remove_deleting()) == (0, 0)
    Path(f"{disk.path}-away").rename(disk.path)
    Backup.objects.filter(pk=backup.pk).update(status=Status.IN_PROGRESS, attempt=2)
    assert (settle_lost(), remove_deleting()) == (0, 0)
    assert backup.copies.get().state == "writing"


def test_what_somebody_cancelled_is_removed_whole_or_not(disk: Destination) -> None:
    backup = lose(cancel_requested=True)
    assert backup.status == Status.CANCELLED
    assert (settle_lost(), remove_deleting()) == (0, 1)
    assert open_storage(disk).stat(FULL) is None
