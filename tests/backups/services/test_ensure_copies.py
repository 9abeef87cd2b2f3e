"""Every kept backup gets a copy wherever its Database wants one, whatever happens in between."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from backups.destinations import open_storage
from backups.models import Backup, Copy, CopyJob, DatabaseDestination, Destination
from backups.services.ensure_copies import WAITING, copy_completed, ensure_copies
from backups.services.look import look_at_destinations
from backups.services.place import place_database
from backups.services.prune import remove_deleting
from backups.services.quarantine import quarantine
from jobs.errors import BackupError
from jobs.models import Status
from jobs.services.sweep import promote
from notifications.models import Event
from tests.api import make_backup, make_database, make_destination
from tests.backups.services_room import stored_records
from tests.room import finish

pytestmark = pytest.mark.django_db(transaction=True)

DAY = timedelta(days=1)


@pytest.fixture
def places(tmp_path: Path) -> list[Destination]:
    found = [make_destination(tmp_path / name, pk=name, is_default=name == "a") for name in "abc"]
    for place in found:
        open_storage(place).prepare()
    return found


def named(*places: Destination, **values: Any) -> Any:
    database = make_database(**values)
    place_database(database=database, destination_ids=[place.pk for place in places])
    return database


def wanted() -> set[tuple[str | None, str | None]]:
    return set(CopyJob.objects.values_list("backup", "destination"))


def look_again() -> int:
    DatabaseDestination.objects.update(looked_at=None)
    return ensure_copies()


def run_all() -> None:
    for job in CopyJob.objects.filter(status=Status.PENDING):
        finish(job)


def test_what_is_lacking_is_asked_for_once_and_what_is_there_is_not(places: list[Destination]) -> None:
    database = named(*places)
    first, second = (make_backup(database, destination=places[0]) for _ in range(2))
    make_backup(database, destination=places[0], status=Status.FAILED)
    Copy.objects.create(backup=second, destination=places[1], attempt=2, key="x-2.zst", state=Copy.State.STORED)
    assert ensure_copies() == 3
    assert wanted() == {(first.pk, "b"), (first.pk, "c"), (second.pk, "c")}
    assert (look_again(), CopyJob.objects.count()) == (0, 3)


def test_a_database_that_names_one_destination_or_none_is_left_alone(places: list[Destination]) -> None:
    one, none = named(places[1]), make_database("free")
    make_backup(one, destination=places[0])
    make_backup(none, destination=places[0])
    assert ensure_copies() == 0


def test_a_new_backup_is_copied_at_once(places: list[Destination]) -> None:
    database = named(*places[:2])
    backup = stored_records(database, places[0], b"{}\n")
    copy_completed(backup)
    run_all()
    assert set(backup.copies.values_list("destination", "state")) == {("a", "stored"), ("b", "stored")}


def test_the_newest_come_first_and_a_destination_has_a_bounded_queue(places: list[Destination]) -> None:
    database = named(*places[:2])
    now = timezone.now()
    made = [
        make_backup(database, destination=places[0], finished_at=now - number * timedelta(minutes=1))
        for number in range(WAITING + 5)
    ]
    assert ensure_copies() == WAITING
    assert wanted() == {(backup.pk, "b") for backup in made[:WAITING]}
    assert look_again() == 0
    CopyJob.objects.update(status=Status.CANCELLED, finished_at=now)
    assert look_again() == 5, "those that were cancelled wait"
    CopyJob.objects.update(finished_at=now - timedelta(hours=7))
    Destination.objects.update(updated_at=now - DAY)
    CopyJob.objects.filter(status=Status.PENDING).delete()
    assert look_again() == WAITING, "and come back after some hours"


def test_a_destination_that_is_down_for_days_catches_up_by_itself(places: list[Destination]) -> None:
    database = named(*places[:2])
    backup = stored_records(database, places[0], b"{}\n")
    marker = Path(places[1].path) / ".backupsite-destination"
    content = marker.read_text()
    assert ensure_copies() == 1
    marker.unlink()
    run_all()
    job = CopyJob.objects.get()
    for attempt in range(2, 8):
        assert job.status == Status.SCHEDULED
        assert job.scheduled_at
        assert job.scheduled_at > timezone.now()
        CopyJob.objects.update(scheduled_at=timezone.now() - timedelta(seconds=1))
        promote()
        job = finish(job)
        assert job.attempt == attempt
    assert job.scheduled_at
    assert job.scheduled_at > timezone.now() + timedelta(minutes=50), "it waits longer and longer"
    look_at_destinations()
    later = stored_records(database, places[0], b"[]\n")
    copy_completed(later)
    assert CopyJob.objects.count() == 1, "nothing is asked of one that is known to be down"
    marker.write_text(content)
    Destination.objects.update(looked_at=None)
    look_at_destinations()
    promote()
    ensure_copies()
    run_all()
    stored = Copy.objects.filter(destination="b", state=Copy.State.STORED)
    assert set(stored.values_list("backup", flat=True)) == {backup.pk, later.pk}


def test_one_that_is_behind_is_told_once_and_told_again_when_it_has_caught_up(places: list[Destination]) -> None:
    database = named(*places[:2])
    stored_records(database, places[0], b"{}\n", finished_at=timezone.now() - 2 * DAY)
    assert ensure_copies() == 1
    assert not Event.objects.filter(kind="copy.behind").exists(), "its destination was named just now"
    DatabaseDestination.objects.update(named_at=timezone.now() - 2 * DAY)
    for _ in range(2):
        look_again()
    event = Event.objects.get(kind="copy.behind")
    assert "lacks copies of 1 backups" in event.message
    run_all()
    for _ in range(2):
        look_again()
    assert Event.objects.filter(kind="copy.caught_up").count() == 1
    assert DatabaseDestination.objects.get(destination="b").lacking == 0


def test_a_quarantined_copy_gets_a_good_one_beside_it_and_stays(places: list[Destination]) -> None:
    database = named(*places[:2])
    backup = stored_records(database, places[0], b"{}\n")
    ensure_copies()
    run_all()
    damaged = backup.copies.get(destination="b")
    quarantine(copy=damaged, backup=backup, error=BackupError("It is cut.", code="artefact_truncated"))
    assert ensure_copies() == 1
    job = CopyJob.objects.get(status=Status.PENDING)
    assert job.trigger == CopyJob.Trigger.REPLACEMENT
    run_all()
    states = list(backup.copies.filter(destination="b").order_by("attempt").values_list("state", flat=True))
    assert states == ["quarantined", "stored"]
    assert Event.objects.filter(kind="copy.replaced").exists()
    assert look_again() == 0


def test_copies_go_when_the_days_of_their_place_are_over_and_do_not_come_back(places: list[Destination]) -> None:
    database = named(*places[:2])
    place_database(database=database, destination_ids=["a", "b"], retention_days={"a": 7})
    old = stored_records(database, places[0], b"{}\n", finished_at=timezone.now() - 8 * DAY)
    assert ensure_copies() == 1
    assert old.copies.get().state == Copy.State.STORED, "there is no other one yet"
    run_all()
    assert look_again() == 1
    assert set(old.copies.values_list("destination", "state")) == {("a", "deleting"), ("b", "stored")}
    remove_deleting()
    assert [path.name for path in Path(places[0].path).rglob("*.zst*")] == []
    assert look_again() == 0
    old.refresh_from_db()
    assert old.status == Status.COMPLETED


@pytest.mark.parametrize("held", ["locked", "retain_until", "backup", "read"])
def test_a_copy_that_is_held_outlives_its_days(places: list[Destination], held: str) -> None:
    database = named(*places[:2])
    place_database(database=database, destination_ids=["a", "b"], retention_days={"b": 7})
    old = make_backup(database, destination=places[0], finished_at=timezone.now() - 8 * DAY)
    copy = Copy.objects.create(backup=old, destination=places[1], attempt=2, key="x-2.zst", state=Copy.State.STORED)
    if held == "backup":
        Backup.objects.update(locked=True)
    elif held == "read":
        job = CopyJob.objects.create(backup=old, backup_label=old.pk, destination=places[2], status=Status.IN_PROGRESS)
    else:
        Copy.objects.filter(pk=copy.pk).update(**{held: True if held == "locked" else timezone.now() + DAY})
    assert ensure_copies() == 0
    if held == "read":
        CopyJob.objects.filter(pk=job.pk).update(status=Status.COMPLETED)
        assert look_again() == 1


def test_naming_destinations_anew_keeps_what_is_known_and_ends_what_waits_for_others(
    places: list[Destination],
) -> None:
    database = named(*places)
    place_database(database=database, destination_ids=["a", "b", "c"], retention_days={"c": 30})
    backup = make_backup(database, destination=places[0])
    ensure_copies()
    place_database(database=database, destination_ids=["c", "a"])
    assert list(database.placements.values_list("destination", "retention_days")) == [("c", 30), ("a", None)]
    assert dict(CopyJob.objects.values_list("destination", "status")) == {"b": "cancelled", "c": "pending"}
    with pytest.raises(ValidationError, match="named twice"):
        place_database(database=database, destination_ids=["a", "a"])
    assert backup.copies.count() == 1


def test_a_round_costs_as_many_queries_for_many_databases_as_for_few(
    places: list[Destination], django_assert_max_num_queries: Any
) -> None:
    for number in range(40):
        database = make_database(f"db-{number}")
        place_database(database=database, destination_ids=["a", "b"])
        backup = make_backup(database, destination=places[0])
        Copy.objects.create(backup=backup, destination=places[1], attempt=2, key="x-2", state=Copy.State.STORED)
    with django_assert_max_num_queries(15):
        assert ensure_copies() == 0
    with django_assert_max_num_queries(2):
        assert ensure_copies() == 0, "nothing has changed"


def test_a_destination_that_lacks_very_many_keeps_no_other_from_its_copies(
    places: list[Destination], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backups.services.ensure_copies.WAITING", 3)
    busy, quiet = named(*places[:2]), make_database("quiet")
    place_database(database=quiet, destination_ids=["a", "c"])
    for _ in range(9):
        make_backup(busy, destination=places[0])
    old = make_backup(quiet, destination=places[0], finished_at=timezone.now() - DAY)
    ensure_copies()
    assert (old.pk, "c") in wanted()
    assert CopyJob.objects.count() == 4
