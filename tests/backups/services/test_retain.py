"""Retention is applied row by row: objects first, the row stays as history, and what came between is seen."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from backups.destinations import open_storage
from backups.models import Backup, Copy, Destination, Retained, Verification
from backups.selectors import readers_of
from backups.services import retain as service
from backups.services.explain import explain_retention
from backups.services.mark import mark_backup
from backups.services.prune import delete_backup, remove_deleting
from backups.services.retain import Outcome, retain, retain_due
from databases.models import Database, Policy
from jobs.models import LogLine, Status
from notifications.models import Event
from tests.api import make_backup, make_database, make_destination

pytestmark = pytest.mark.django_db


@pytest.fixture
def disk(tmp_path: Path) -> Destination:
    destination = make_destination(tmp_path / "disk")
    open_storage(destination).prepare()
    return destination


def stored(database: Database, disk: Destination, days_ago: float, **values: Any) -> Backup:
    """A backup with an object and a sidecar on the disk."""
    at = timezone.now() - timedelta(days=days_ago)
    backup = make_backup(database, destination=disk, finished_at=at, created_at=at, **values)
    for copy in backup.copies.all():
        open_storage(disk).write_text(copy.key, "artefact")
        open_storage(disk).write_text(f"{copy.key}.manifest.json", "{}")
    return backup


def retain_database(*, database: Database) -> Outcome:
    return retain([database])


def states(database: Database) -> list[str]:
    return list(Backup.objects.filter(database=database).order_by("-finished_at").values_list("status", flat=True))


def objects(disk: Destination) -> int:
    return len(list(open_storage(disk).list()))


def test_objects_go_first_and_the_row_stays_as_expired(disk: Destination) -> None:
    database = make_database(max_backups=2)
    backups = [stored(database, disk, days) for days in range(4)]
    outcome = retain_database(database=database)
    assert outcome.expired == [backups[2].pk, backups[3].pk]
    assert states(database) == ["completed", "completed", "deleting", "deleting"]
    assert objects(disk) == 8
    remove_deleting()
    assert states(database) == ["completed", "completed", "expired", "expired"]
    assert (objects(disk), Copy.objects.count()) == (4, 2)
    gone = Backup.objects.get(pk=backups[3].pk)
    assert gone.expires_at is not None and timezone.now() - gone.expires_at < timedelta(minutes=1)
    assert LogLine.objects.get(job_id=gone.pk).message == "expires: beyond the newest 2"
    event = Event.objects.get(kind="retention.expired")
    assert (event.database_id, event.message.count("bkp_")) == (database.pk, 2)
    assert retain_database(database=database).expired == []
    assert Event.objects.filter(kind="retention.expired").count() == 1


def test_a_database_inherits_the_sites_limits_and_overrides_them(disk: Destination) -> None:
    Policy.objects.create(max_backups=1)
    inherits, off = make_database("a"), make_database("b", max_backups=0)
    for database in (inherits, off):
        [stored(database, disk, days) for days in range(3)]
        retain_database(database=database)
    assert (states(inherits).count("completed"), states(off).count("completed")) == (1, 3)


def test_limits_that_were_widened_on_the_way_hold(disk: Destination) -> None:
    early = make_database(max_backups=1)
    deleted = make_database("deleted", max_backups=1)
    for database in (early, deleted):
        [stored(database, disk, days) for days in range(3)]
    Database.objects.filter(pk=early.pk).update(max_backups=3)
    Database.objects.filter(pk=deleted.pk).delete()
    assert [retain_database(database=database).expired for database in (early, deleted)] == [[], []]
    assert Backup.objects.filter(status="completed").count() == 6


def test_what_was_locked_read_or_built_on_meanwhile_stays(disk: Destination, monkeypatch: pytest.MonkeyPatch) -> None:
    """The decision is old by the time the row is locked."""
    database = make_database(max_backups=1)
    last, locked, read, parent, free = (stored(database, disk, days) for days in range(5))

    def then_come_others(**given: Any) -> Any:
        verdicts = explain_retention(**given)
        mark_backup(backup=locked, locked=True)
        Verification.objects.create(backup=read, backup_label=read.pk)
        make_backup(database, status=Status.IN_PROGRESS, finished_at=None, type="incremental", parent=parent)
        return verdicts

    monkeypatch.setattr("backups.services.retain.explain_retention", then_come_others)
    assert retain_database(database=database).expired == [free.pk]
    assert readers_of(read)
    assert {Backup.objects.get(pk=one.pk).status for one in (last, locked, read, parent)} == {"completed"}


def test_nothing_goes_when_the_newer_one_was_deleted_meanwhile(
    disk: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = make_database(max_backups=1)
    newest, older = stored(database, disk, 0), stored(database, disk, 1)

    def then_somebody_deletes(**given: Any) -> Any:
        verdicts = explain_retention(**given)
        delete_backup(backup=newest)
        return verdicts

    monkeypatch.setattr("backups.services.retain.explain_retention", then_somebody_deletes)
    assert retain_database(database=database).expired == []
    assert Backup.objects.get(pk=older.pk).status == Status.COMPLETED


def test_a_chain_goes_whole_from_its_newest_end(disk: Destination) -> None:
    database = make_database(retention_days=5)
    full = stored(database, disk, 9)
    first = stored(database, disk, 8, type="incremental", parent=full)
    second = stored(database, disk, 7, type="incremental", parent=first)
    stored(database, disk, 1)
    assert retain_database(database=database).expired == [second.pk, first.pk, full.pk]
    remove_deleting()
    assert states(database) == ["completed", "expired", "expired", "expired"]


def test_expiring_ones_that_somebody_deletes_by_hand_are_gone_altogether(disk: Destination) -> None:
    database = make_database(max_backups=1)
    stored(database, disk, 0)
    old, older = stored(database, disk, 1), stored(database, disk, 2)
    retain_database(database=database)
    assert delete_backup(backup=old)
    remove_deleting()
    assert delete_backup(backup=older)
    assert (states(database), LogLine.objects.filter(job_id__in=[old.pk, older.pk]).count()) == (["completed"], 0)


def test_old_failures_are_forgotten_with_their_logs(disk: Destination) -> None:
    database = make_database()
    stored(database, disk, 0)
    for status, days in ((Status.FAILED, 31), (Status.CANCELLED, 31), (Status.FAILED, 29)):
        failed = make_backup(database, status=status, finished_at=timezone.now() - timedelta(days=days))
        LogLine.objects.create(job_kind="backup", job_id=failed.pk, attempt=1, message="dumping")
    unfinished = stored(database, disk, 31, status=Status.FAILED)
    outcome = retain_database(database=database)
    assert (outcome.forgotten, LogLine.objects.count()) == (2, 1)
    assert Backup.objects.filter(pk=unfinished.pk).exists()  # its objects are still to be removed
    Copy.objects.filter(backup=unfinished).update(state=Copy.State.DELETING)
    remove_deleting()
    assert retain_database(database=database).forgotten == 1


def test_it_writes_when_a_backup_is_expected_to_go(disk: Destination) -> None:
    database = make_database(retention_days=7)
    backup = stored(database, disk, 1)
    retain_database(database=database)
    noted = Backup.objects.get()
    assert noted.finished_at is not None
    assert noted.expires_at == noted.finished_at + timedelta(days=7)
    locked = mark_backup(backup=backup, locked=True)
    assert locked.expires_at is None
    retain_database(database=database)
    assert Backup.objects.get().expires_at is None


def test_the_sweeper_looks_once_an_hour_after_a_backup_and_after_a_change(disk: Destination) -> None:
    database = make_database(max_backups=1)
    stored(database, disk, 1)
    retain_due()
    looked = Retained.objects.get().at
    retain_due()
    assert Retained.objects.get().at == looked
    stored(database, disk, 0)
    assert retain_due() == 1
    for moment in (timezone.now() - timedelta(minutes=61), timezone.now() + timedelta(days=1)):
        Retained.objects.update(at=moment)
        retain_due()
        assert abs(Retained.objects.get().at - timezone.now()) < timedelta(minutes=1)
    for changed in (database, Policy(max_backups=3)):
        before = Retained.objects.get().at
        changed.save()
        retain_due()
        assert Retained.objects.get().at > before


def test_where_every_question_takes_long_one_database_has_its_turn_in_each_round(
    disk: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        make_database(name)
    monkeypatch.setattr(service, "ROUND_S", -1.0)
    for looked_at in (1, 2):
        retain_due()
        assert Retained.objects.count() == looked_at


def test_a_database_whose_retention_fails_holds_up_no_other(disk: Destination, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        make_database(name)

    def broken(**given: Any) -> Any:
        if given["database"].pk == "a":
            raise ZeroDivisionError
        return explain_retention(**given)

    monkeypatch.setattr("backups.services.retain.explain_retention", broken)
    retain_due()
    assert list(Retained.objects.values_list("pk", flat=True)) == ["b"]


def test_backups_of_a_deleted_database_stay(disk: Destination) -> None:
    database = make_database(retention_days=1)
    [stored(database, disk, days) for days in (0, 9)]
    pk = database.pk
    retain_due()
    Backup.objects.update(status=Status.COMPLETED)
    database.delete()
    Policy(retention_days=1).save()
    assert retain_due() == 0
    assert Backup.objects.filter(database=pk, status=Status.COMPLETED).count() == 2
