"""A run that fails says so, leaves no object behind and does not touch an older backup."""

import threading
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from backups.models import Backup, Copy
from backups.pipeline.encode import EncodedReader
from backups.services import prune, read_back, run
from backups.services.request import request_backup
from backups.storage.local import LocalStorage
from databases.engines.postgres.engine import PostgresEngine
from databases.services.save import save_database
from jobs.errors import BackupError
from jobs.models import Status
from jobs.services.run import run_job
from jobs.services.sweep import sweep
from notifications.models import Event
from tests.faults.conftest import Site
from tests.room import back_up, finish, verify


def assert_only_the_good_one_is_there(site: Site) -> None:
    assert site.objects() == site.keys_of(site.good)
    assert Copy.objects.count() == 1
    site.good.refresh_from_db()
    assert site.good.status == Status.COMPLETED
    assert verify(site.good).status == Status.COMPLETED


def test_a_wrong_password_fails_with_an_event_and_nothing_stored(site: Site) -> None:
    save_database(database=site.database, values={"password": "wrong"}, create=False)
    backup = back_up(site.database)
    assert backup.status == Status.FAILED
    assert backup.error_hint
    assert Event.objects.filter(kind="backup.failed", subject_id=backup.pk).count() == 1
    assert_only_the_good_one_is_there(site)


STAGES = [
    (PostgresEngine, "preflight"),
    (PostgresEngine, "dump"),
    (PostgresEngine, "structure"),
    (EncodedReader, "readinto"),
    (LocalStorage, "write"),
    (LocalStorage, "open_stream"),
    (LocalStorage, "write_text"),
    (run, "primary_destination"),
    (run, "encode"),
    (read_back, "read_digests"),
    (run, "sidecar"),
]


@pytest.mark.parametrize(("owner", "name"), STAGES, ids=[name for _, name in STAGES])
def test_an_unexpected_error_in_any_stage_is_a_failure(
    site: Site, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    backup = request_backup(database=site.database)
    with monkeypatch.context() as patch:

        def defect(*args: Any, **kwargs: Any) -> Any:
            raise RuntimeError("a defect with a s3cret in it")

        patch.setattr(owner, name, defect)
        with pytest.raises(RuntimeError):
            run_job(kind_name="backup", job_id=backup.pk)
    sweep()
    backup.refresh_from_db()
    assert backup.status == Status.FAILED
    assert "s3cret" not in backup.error_message + backup.error_hint
    assert_only_the_good_one_is_there(site)


def test_a_run_whose_last_step_breaks_is_settled_by_what_is_stored(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its artefact was read back and its sidecar written: when the lease runs out, the backup is there."""
    backup = request_backup(database=site.database)
    with monkeypatch.context() as patch:

        def defect(*args: Any, **kwargs: Any) -> Any:
            raise RuntimeError("a defect with a s3cret in it")

        patch.setattr(run, "record_backup_event", defect)
        with pytest.raises(RuntimeError):
            run_job(kind_name="backup", job_id=backup.pk)
        backup.refresh_from_db()
        assert backup.status == Status.IN_PROGRESS
    Backup.objects.filter(pk=backup.pk).update(lease_expires_at=backup.created_at)
    sweep()
    backup.refresh_from_db()
    assert backup.status == Status.COMPLETED
    assert verify(backup).status == Status.COMPLETED


def test_a_byte_flipped_on_its_way_to_the_store_is_found_by_the_read_back(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = EncodedReader.readinto

    def flipping(reader: EncodedReader, buffer: Any) -> int:
        count = whole(reader, buffer)
        if count:
            memoryview(buffer)[count // 2] ^= 1
        return count

    monkeypatch.setattr(EncodedReader, "readinto", flipping)
    backup = back_up(site.database)
    monkeypatch.undo()
    assert (backup.status, backup.error_code) == (Status.FAILED, "readback_mismatch")
    assert_only_the_good_one_is_there(site)


def artefact(site: Site) -> Path:
    return site.folder / site.good.copies.get().key


def test_verify_rejects_an_artefact_whose_tail_is_cut(site: Site) -> None:
    path = artefact(site)
    path.write_bytes(path.read_bytes()[:-1])
    verification = verify(site.good)
    assert (verification.status, verification.error_code) == (Status.FAILED, "artefact_truncated")
    assert site.good.copies.get().state == Copy.State.QUARANTINED
    assert path.exists()
    assert Event.objects.filter(kind="verify.failed").exists()


def test_verify_rejects_an_artefact_with_one_bit_flipped(site: Site) -> None:
    path = artefact(site)
    stored = bytearray(path.read_bytes())
    stored[len(stored) // 2] ^= 1
    path.write_bytes(stored)
    assert verify(site.good).error_code == "artefact_corrupt"


def test_verify_says_that_an_artefact_has_vanished(site: Site) -> None:
    artefact(site).unlink()
    verification = verify(site.good)
    assert verification.status == Status.FAILED
    assert site.good.copies.get().state == Copy.State.QUARANTINED


def test_an_unmounted_destination_is_not_taken_for_lost_backups(site: Site) -> None:
    site.folder.rename(site.folder.with_name("elsewhere"))
    assert verify(site.good).status == Status.FAILED
    assert site.good.copies.get().state == Copy.State.STORED
    assert back_up(site.database).status == Status.FAILED
    assert not site.folder.exists()


def test_two_runs_in_the_same_second_are_two_objects(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    at = site.good.created_at
    monkeypatch.setattr("backups.services.run.timezone.now", lambda: at)
    first, second = back_up(site.database), back_up(site.database)
    monkeypatch.undo()
    assert len(site.keys_of(first) | site.keys_of(second)) == 4
    assert site.keys_of(first) | site.keys_of(second) < site.objects()


def test_a_backup_whose_object_cannot_be_deleted_stays_deleting_until_it_is_gone(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:

        def refuse(*args: Any, **kwargs: Any) -> None:
            raise BackupError("the store is away", code="destination_unreachable")

        patch.setattr(LocalStorage, "delete", refuse)
        assert prune.delete_backup(backup=site.good) is False
        sweep()
        site.good.refresh_from_db()
        assert site.good.status == Status.DELETING
    sweep()
    assert not Backup.objects.filter(pk=site.good.pk).exists()
    assert site.objects() == set()


def test_twenty_concurrent_triggers_have_one_in_progress(site: Site) -> None:
    most: list[int] = []
    backups = [request_backup(database=site.database) for _ in range(20)]

    def one(backup: Backup) -> None:
        try:
            run_job(kind_name="backup", job_id=backup.pk)
            most.append(Backup.objects.filter(status=Status.IN_PROGRESS).count())
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=(backup,)) for backup in backups]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) <= 1
    for backup in backups:
        finish(backup)
    assert set(Backup.objects.values_list("status", flat=True)) == {Status.COMPLETED}


@pytest.mark.parametrize("state", ["locked", "read"])
def test_a_backup_that_is_locked_or_read_is_not_deleted(site: Site, state: str) -> None:
    if state == "locked":
        Backup.objects.filter(pk=site.good.pk).update(locked=True)
    else:
        from backups.services.verify import request_verification

        request_verification(backup=site.good)
    with pytest.raises(BackupError) as caught:
        prune.delete_backup(backup=site.good)
    assert caught.value.code == "wrong_state"
    assert site.objects() == site.keys_of(site.good)
