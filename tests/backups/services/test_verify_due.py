"""Every stored copy is read again in time, the longest unread first, whatever gets in the way."""

import os
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backups.models import Backup, Copy, Destination, Verification
from backups.pipeline.keys import generate_identity, recipient_of
from backups.services import verify_due as verify_due_module
from backups.services.verify_due import readable, verify_due
from databases.models import Policy
from jobs.models import LogLine, Status, Tally
from jobs.services.sweep import sweep_quickly
from notifications.models import Event
from tests.api import make_backup, make_database, make_destination
from tests.room import back_up, finish, local_destination, register_service, verify
from tests.servers.records import RecordsServer, sample

pytestmark = pytest.mark.django_db

OPTIONS = {"records_path": "data.items", "pagination": "page", "collection": "users"}


def days_ago(days: float) -> datetime:
    return timezone.now() - timedelta(days=days)


def stored(destination: Destination, read_at: datetime | None, **values: Any) -> Copy:
    backup = make_backup(make_database(pk=f"db-{Copy.objects.count()}"), destination=destination, **values)
    backup.copies.update(verified_at=read_at)
    return backup.copies.get()


def asked() -> list[str]:
    rows = Verification.objects.filter(trigger="schedule").order_by("created_at", "pk")
    return [f"{run.backup_label}@{run.destination_id}" for run in rows]


def name(copy: Copy) -> str:
    return f"{copy.backup_id}@{copy.destination_id}"


def end(status: Status = Status.COMPLETED) -> None:
    Verification.objects.exclude(status=Status.COMPLETED).update(status=status)


@pytest.fixture
def disk() -> Destination:
    return make_destination(pk="disk")


def test_the_longest_unread_is_next_and_one_at_a_time(disk: Destination) -> None:
    other = make_destination(pk="other", is_default=False)
    recent, older = stored(disk, days_ago(10)), stored(disk, days_ago(17))
    oldest, never = stored(other, days_ago(20)), stored(other, None)
    for expected in (never, oldest, older):
        assert verify_due() == 1
        assert verify_due() == 0, "one is open"
        assert asked()[-1] == name(expected)
        end()
        Copy.objects.filter(pk=expected.pk).update(verified_at=timezone.now())
    assert (verify_due(), len(asked())) == (0, 3), f"{recent} was read within half of the days"


def test_more_at_once_where_that_is_set(disk: Destination, settings: Any) -> None:
    settings.BACKUPSITE_VERIFY_AT_ONCE = 2
    other = make_destination(pk="other", is_default=False)
    for destination in (disk, disk, other):
        stored(destination, days_ago(20))
    assert (verify_due(), verify_due()) == (2, 0)


def test_a_host_has_its_own_queue_and_keeps_no_other_waiting(disk: Destination) -> None:
    away = make_destination(pk="away", is_default=False, queue="away")
    for destination in (disk, away, away, disk):
        stored(destination, days_ago(20))
    assert verify_due() == 2
    assert set(Verification.objects.values_list("queue", flat=True)) == {"", "away"}
    Verification.objects.filter(queue="").update(status=Status.COMPLETED)
    assert verify_due() == 1
    assert Verification.objects.filter(queue="away").count() == 1


def test_what_is_down_switched_off_or_cannot_be_read_is_left_out(disk: Destination) -> None:
    copy = stored(disk, days_ago(20))
    for rows, off, on in (
        (Destination.objects, {"fault": "destination_unreachable"}, {"fault": ""}),
        (Copy.objects, {"readback": "checksum"}, {"readback": "full"}),
        (Copy.objects, {"state": "quarantined"}, {"state": "stored"}),
        (Copy.objects, {"tried_at": days_ago(0.5)}, {"tried_at": days_ago(1.1)}),
        (Backup.objects, {"status": Status.DELETING}, {"status": Status.COMPLETED}),
    ):
        rows.update(**off)
        assert verify_due() == 0, off
        rows.update(**on)
    Policy.objects.create(verify_within_days=0)
    assert verify_due() == 0
    Policy.objects.update(verify_within_days=30)
    assert verify_due() == 1
    assert asked() == [name(copy)]


def test_a_clock_that_ran_ahead_stops_nothing(disk: Destination) -> None:
    ahead = stored(disk, timezone.now() + timedelta(days=400))
    Copy.objects.update(tried_at=timezone.now() + timedelta(days=400))
    assert verify_due() == 1
    assert asked() == [name(ahead)]


def test_what_fails_makes_room_for_the_next_and_has_another_turn(disk: Destination) -> None:
    first, second = stored(disk, days_ago(25)), stored(disk, days_ago(20))
    verify_due()
    Verification.objects.update(max_attempts=1)
    finish(Verification.objects.get())  # there is no folder
    assert asked() == [name(first), name(second)], "the next one is asked for at once"
    first.refresh_from_db()
    assert (first.state, first.tried_at is not None) == (Copy.State.STORED, True)


def test_unread_copies_are_told_of_once_and_again_after_they_were_read(disk: Destination) -> None:
    stored(disk, days_ago(31))
    stored(disk, days_ago(40))
    Destination.objects.update(fault="destination_unreachable")
    for _ in range(3):
        verify_due()
    event = Event.objects.get(kind="verify.overdue")
    assert (event.subject_id, event.message[:14]) == ("disk", "2 copies at Lo")
    assert "cannot be used" in event.hint
    Copy.objects.update(verified_at=timezone.now())
    verify_due()
    Copy.objects.update(verified_at=days_ago(31))
    for _ in range(2):
        verify_due()
    assert Event.objects.filter(kind="verify.overdue").count() == 2


def test_a_round_asks_the_same_questions_however_much_is_stored(disk: Destination) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            verify_due()
        return len(found)

    make_destination(pk="down", is_default=False, fault="destination_unreachable")
    stored(disk, days_ago(20), status=Status.EXPIRED)
    few = queries()
    for number in range(30):
        stored(disk if number % 2 else make_destination(pk=f"d{number}", is_default=False), days_ago(1))
    assert queries() == few


def test_the_index_finds_the_longest_unread() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("the plan of SQLite")
    copies = readable().filter(destination="disk", verified_at__lt=timezone.now()).order_by("verified_at")
    assert "backups_copies_unread" in copies.explain()


# With real bytes


@pytest.fixture
def shop(tmp_path: Path, records_service: RecordsServer) -> Backup:
    """A stored backup that was not read for twenty days."""
    local_destination(tmp_path / "disk")
    sample(records_service, 50)
    backup = back_up(register_service(records_service, options=OPTIONS, compression="none"))
    assert backup.status == Status.COMPLETED
    Copy.objects.update(verified_at=days_ago(20))
    return backup


def scheduled() -> Verification:
    sweep_quickly()
    return finish(Verification.objects.get(trigger="schedule", status=Status.PENDING))


@pytest.mark.django_db(transaction=True)
def test_a_whole_copy_is_read_to_its_end_and_counted(shop: Backup) -> None:
    run = scheduled()
    assert run.status == Status.COMPLETED
    [found] = run.report["copies"]
    assert found["checked"] == ["size", "digests", "structure"]
    read_at = Copy.objects.get().verified_at
    assert read_at is not None
    assert read_at > days_ago(0.1)
    labels = Tally.objects.get(name="backupsite_verifications").labels
    assert labels == '{"outcome": "completed", "trigger": "schedule"}'
    Copy.objects.update(verified_at=days_ago(20))
    again = scheduled()
    assert Verification.objects.get() == again, "the newest tells all"
    assert set(LogLine.objects.filter(job_kind="verification").values_list("job_id", flat=True)) == {again.pk}


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("damage", [cut, flip, Path.unlink], ids=["cut", "flipped", "missing"])
def test_damage_at_rest_is_found_put_aside_and_told(shop: Backup, tmp_path: Path, damage: Any) -> None:
    """Whatever a disk does to what was whole when it was stored."""
    path = tmp_path / "disk" / Copy.objects.get().key
    damage(path)
    there = path.exists()
    assert scheduled().status == Status.FAILED
    assert Copy.objects.get().state == Copy.State.QUARANTINED
    assert (path.exists(), Event.objects.filter(kind="verify.failed").count()) == (there, 1)
    assert "damaged" in Tally.objects.get(name="backupsite_verifications").labels
    assert verify_due() == 0, "what is known to be damaged is not read again by itself"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("key", ["none", "another"])
def test_without_the_right_key_the_stored_bytes_are_compared(
    tmp_path: Path, records_service: RecordsServer, settings: Any, key: str
) -> None:
    local_destination(tmp_path / "disk")
    sample(records_service, 50)
    theirs, other = generate_identity()[0], generate_identity()[0]
    settings.BACKUPSITE_AGE_IDENTITIES = [other] if key == "another" else []
    values: dict[str, Any] = {"encryption": "age", "encryption_recipients": [recipient_of(theirs)]}
    backup = back_up(register_service(records_service, options=OPTIONS, **values))
    assert backup.status == Status.COMPLETED
    Copy.objects.update(verified_at=days_ago(20))
    run = scheduled()
    assert (run.status, run.report["copies"][0]["checked"]) == (Status.COMPLETED, ["size", "digests"])
    flip(tmp_path / "disk" / Copy.objects.get().key)
    Copy.objects.update(verified_at=days_ago(20))
    assert scheduled().status == Status.FAILED
    assert Copy.objects.get().state == Copy.State.QUARANTINED


@pytest.mark.django_db(transaction=True)
def test_a_verification_whose_worker_was_killed_is_run_again(shop: Backup) -> None:
    sweep_quickly()
    died = days_ago(0.1)
    leased = {"lease_token": uuid.uuid4(), "lease_expires_at": died, "started_at": died}
    Verification.objects.update(status=Status.IN_PROGRESS, attempt=1, **leased)
    sweep_quickly()
    run = Verification.objects.get()
    assert run.status == Status.SCHEDULED
    Verification.objects.update(scheduled_at=died)
    sweep_quickly()
    run.refresh_from_db()
    assert finish(run).status == Status.COMPLETED


@pytest.mark.django_db(transaction=True)
def test_a_copy_that_is_being_deleted_does_not_come_back(shop: Backup, monkeypatch: pytest.MonkeyPatch) -> None:
    def deleted_meanwhile(*args: Any, **kwargs: Any) -> dict[str, Any]:
        Copy.objects.update(state=Copy.State.DELETING)
        return {"checked": ["size", "digests", "structure"]}

    monkeypatch.setattr("backups.services.verify._read", deleted_meanwhile)
    assert verify(shop).status == Status.COMPLETED
    assert Copy.objects.get().state == Copy.State.DELETING


def test_who_asks_at_the_same_moment_asks_for_one(disk: Destination, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweeper and each scheduled one that ends choose the same copy."""
    stored(disk, days_ago(20))
    monkeypatch.setattr("backups.services.verify_due._full", lambda waiting: [])
    monkeypatch.setattr("backups.services.verify_due._waiting", dict)
    chosen = list(verify_due_module._longest_unread(timezone.now(), timezone.now(), []))
    assert verify_due() == 1
    monkeypatch.setattr("backups.services.verify_due._longest_unread", lambda *given: iter(chosen))
    assert (verify_due(), len(asked())) == (0, 1)
