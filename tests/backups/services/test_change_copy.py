"""Copies that are locked or deleted by hand, and what retention has to leave whatever is asked."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from backups.destinations import open_storage
from backups.models import Backup, Copy, CopyJob, DatabaseDestination, Destination, Drill, Verification
from backups.selectors import readers_of
from backups.services import copy as copying
from backups.services.change_copy import delete_copy
from backups.services.choose_copy import choose_copy
from backups.services.ensure_copies import ensure_copies
from backups.services.place import place_database
from backups.services.quarantine import quarantine
from backups.services.reconcile import reconcile
from backups.services.request_copy import request_copy
from backups.services.verify import request_verification
from backups.storage.base import StoredObject
from backups.storage.local import LocalStorage
from databases.models import Database
from jobs.errors import BackupError
from jobs.models import Status
from tests.api import make_backup, make_database, make_destination
from tests.backups.services_room import stored_records
from tests.room import finish

pytestmark = pytest.mark.django_db(transaction=True)

DAY = timedelta(days=1)


@pytest.fixture
def places(tmp_path: Path) -> list[Destination]:
    return [make_destination(tmp_path / name, pk=name, is_default=name == "a") for name in "abc"]


@pytest.fixture
def database(places: list[Destination]) -> Database:
    return make_database()


def with_two_copies(database: Database, places: list[Destination], **values: object) -> tuple[Backup, Copy, Copy]:
    backup = make_backup(database, destination=places[0], **values)
    values = {"attempt": 2, "key": f"{database.pk}/{backup.pk}-2.dump.zst", "state": Copy.State.STORED}
    other = Copy.objects.create(backup=backup, destination=places[1], **values)
    return backup, backup.copies.get(destination=places[0]), other


def test_the_last_copy_within_reach_stays_while_the_other_destination_is_down(
    database: Database, places: list[Destination]
) -> None:
    place_database(database=database, destination_ids=["a", "b"], retention_days={"b": 7})
    backup, _, near = with_two_copies(database, places, finished_at=timezone.now() - 8 * DAY)
    Destination.objects.filter(pk="a").update(fault="destination_unreachable")
    assert ensure_copies() == 0, "the disk of the other one may never come back"
    with pytest.raises(BackupError, match="within reach"):
        delete_copy(copy=near)
    Destination.objects.update(fault="")
    DatabaseDestination.objects.update(looked_at=None)
    assert ensure_copies() == 1
    assert set(backup.copies.values_list("destination", "state")) == {("a", "stored"), ("b", "deleting")}


def test_a_copy_that_its_store_holds_goes_on_being_read(database: Database, places: list[Destination]) -> None:
    _, _, held = with_two_copies(database, places)
    Copy.objects.filter(pk=held.pk).update(retain_until=timezone.now() + DAY)
    with pytest.raises(BackupError, match="the store holds it until"):
        delete_copy(copy=held)
    held.refresh_from_db()
    assert held.state == Copy.State.STORED


def test_copies_of_what_a_read_backup_builds_on_stay(database: Database, places: list[Destination]) -> None:
    place_database(database=database, destination_ids=["a", "b"], retention_days={"b": 7})
    full, _, copy = with_two_copies(database, places, finished_at=timezone.now() - 8 * DAY)
    last = full
    for _ in range(2):
        last = make_backup(database, destination=places[0], type=Backup.Type.INCREMENTAL, parent=last)
    drill = Drill.objects.create(database=database, backup=last, backup_label=last.pk, status=Status.IN_PROGRESS)
    assert readers_of(full) == [drill.pk]
    ensure_copies()
    assert full.copies.get(pk=copy.pk).state == Copy.State.STORED
    with pytest.raises(BackupError, match=drill.pk):
        delete_copy(copy=copy)
    Drill.objects.update(status=Status.COMPLETED)
    DatabaseDestination.objects.update(looked_at=None)
    ensure_copies()
    assert full.copies.get(pk=copy.pk).state == Copy.State.DELETING


def test_of_several_copies_the_version_that_was_written_is_looked_for(
    database: Database, places: list[Destination], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A delete marker hides an object from who does not name its version."""
    for place in places:
        open_storage(place).prepare()
    backup, _, held = with_two_copies(database, places)
    Copy.objects.filter(pk=held.pk).update(version_id="v1")

    def marked(storage: object, key: str, *, version_id: str = "") -> StoredObject | None:
        return StoredObject(key=key, size=backup.size or 0, modified=timezone.now()) if version_id == "v1" else None

    monkeypatch.setattr(LocalStorage, "stat", marked)
    assert choose_copy(backup=backup).pk == held.pk


def test_a_scheduled_verification_leaves_a_copy_in_quarantine_alone(
    database: Database, places: list[Destination], monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in places:
        open_storage(place).prepare()
    backup = stored_records(database, places[0], b"{}\n")
    good = backup.copies.get()
    damaged = Copy.objects.create(
        backup=backup, destination=places[0], attempt=2, key="shop/x-2.zst", state=Copy.State.STORED
    )
    quarantine(copy=damaged, backup=backup, error=BackupError("It is cut.", code="artefact_truncated"))
    Backup.objects.update(encryption="age")  # read as it is stored: no engine is asked
    monkeypatch.setattr("backups.services.verify.identities_for", lambda *_: ())
    job = request_verification(backup=backup, destination=places[0], trigger=Verification.Trigger.SCHEDULE)
    assert finish(job).status == Status.COMPLETED, job.error_message
    states = dict(backup.copies.values_list("pk", "state"))
    assert states == {good.pk: Copy.State.STORED, damaged.pk: Copy.State.QUARANTINED}


def test_a_slow_destination_leaves_room_to_the_others(database: Database, places: list[Destination]) -> None:
    backups = [make_backup(database, destination=places[0]) for _ in range(3)]
    first, second = (request_copy(backup=backup, destination=places[1]) for backup in backups[:2])
    CopyJob.objects.filter(pk=first.pk).update(status=Status.IN_PROGRESS)
    assert copying.may_start(second), "nobody else waits"
    other = request_copy(backup=backups[2], destination=places[2])
    assert not copying.may_start(second)
    assert copying.may_start(other)
    CopyJob.objects.filter(pk=other.pk).update(status=Status.IN_PROGRESS)
    assert copying.may_start(second), "each of them has one running"


def test_a_version_below_a_delete_marker_or_another_object_is_neither_missing_nor_another(
    database: Database, places: list[Destination], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else `reconcile --fix` would put aside what Object Lock has just saved."""
    open_storage(places[0]).prepare()
    hidden, covered = (make_backup(database, destination=places[0]) for _ in range(2))
    Copy.objects.update(version_id="v1")
    at = timezone.now()
    over = StoredObject(key=covered.copies.get().key, size=3, modified=at)
    monkeypatch.setattr(LocalStorage, "list", lambda storage, prefix="": iter([over]))

    def stat(storage: object, key: str, *, version_id: str = "") -> StoredObject | None:
        return StoredObject(key=key, size=hidden.size or 0, modified=at) if version_id == "v1" else None

    monkeypatch.setattr(LocalStorage, "stat", stat)
    assert reconcile(destination=places[0], fix=True)[1] == 0
    assert set(Copy.objects.values_list("state", flat=True)) == {Copy.State.STORED}
    Copy.objects.update(version_id="v0")
    assert reconcile(destination=places[0], fix=True)[1] == 2
