"""A Database that was due and has no good backup since is told of once, and once more when it has one again."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from backups.models import Backup, Overdue, Slot
from backups.services import overdue
from backups.services.overdue import tell_overdue
from backups.services.schedule import ensure_slots
from backupsite.management.checks import FAIL, schedules
from databases.models import Database, Policy
from jobs.models import Status
from jobs.services.sweep import sweep_quickly
from notifications.models import Event
from tests.api import make_backup, make_database, make_destination

pytestmark = pytest.mark.django_db
DUE = datetime(2026, 3, 4, 3, 0, tzinfo=UTC)
Clock = Callable[[timedelta], None]


@pytest.fixture
def past(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """`past(timedelta(hours=2))` makes it two hours past the due time."""

    def to(age: timedelta) -> None:
        monkeypatch.setattr("django.utils.timezone.now", lambda: DUE + age)

    return to


@pytest.fixture
def nightly(tmp_path: Path, past: Clock) -> Database:
    """Due at 3 o'clock; its slot is there and its backup waits. It is three hours past."""
    make_destination(tmp_path)
    past(timedelta(seconds=5))
    database = make_database(schedule="0 3 * * *", scheduled_since=DUE - timedelta(hours=20))
    assert ensure_slots() == 1
    past(timedelta(hours=3))
    return database


def told() -> list[str]:
    return list(Event.objects.filter(kind__in=["backup.overdue", "backup.recovered"]).values_list("kind", flat=True))


def complete(database: Database, began: datetime) -> None:
    Backup.objects.filter(status=Status.PENDING).delete()
    make_backup(database, started_at=began, finished_at=began + timedelta(minutes=1))


def test_it_is_told_once_whatever_the_number_of_rounds(nightly: Database) -> None:
    assert [tell_overdue() for _ in range(3)] == [1, 0, 0]
    event = Event.objects.get()
    assert (event.kind, event.severity, event.database_id) == ("backup.overdue", "error", "shop")
    assert "due at 2026-03-04 03:00 UTC" in event.message
    assert "still waits" in event.hint


def test_a_site_where_every_question_takes_long_is_told_one_after_the_other(
    nightly: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overdue, "ROUND_S", -1.0)
    assert [tell_overdue() for _ in range(2)] == [1, 0]


def test_it_is_told_in_a_round_of_the_sweeper(nightly: Database) -> None:
    assert sweep_quickly()["overdue"] == 1


def test_it_is_told_again_for_the_next_due_time(nightly: Database, past: Clock) -> None:
    tell_overdue()
    past(timedelta(days=1, hours=1))
    ensure_slots()
    assert tell_overdue() == 0, "the newer one has its two hours"
    past(timedelta(days=1, hours=3))
    assert tell_overdue() == 1


@pytest.mark.parametrize("seconds", [3600, 4 * 3600])
def test_how_late_is_overdue_is_a_setting(nightly: Database, settings: Any, seconds: int) -> None:
    settings.BACKUPSITE_OVERDUE_S = seconds
    assert tell_overdue() == int(seconds == 3600)


def test_a_good_backup_ends_it_and_that_is_told_once(nightly: Database) -> None:
    tell_overdue()
    complete(nightly, DUE + timedelta(hours=2))
    assert [tell_overdue() for _ in range(3)] == [1, 0, 0]
    assert told() == ["backup.recovered", "backup.overdue"]
    assert not Overdue.objects.exists()


def test_a_good_backup_in_time_says_nothing(nightly: Database) -> None:
    complete(nightly, DUE + timedelta(minutes=1))
    assert tell_overdue() == 0


def test_a_good_backup_from_before_the_due_time_does_not_count(nightly: Database) -> None:
    complete(nightly, DUE - timedelta(hours=1))
    assert tell_overdue() == 1
    assert "began at 2026-03-04 02:00 UTC" in Event.objects.get().message


def test_a_failed_one_does_not_count_and_its_error_is_the_hint(nightly: Database) -> None:
    Backup.objects.update(status=Status.FAILED, finished_at=DUE, error_message="No route to host.")
    assert tell_overdue() == 1
    assert "No route to host." in Event.objects.get().hint


def test_one_that_is_on_its_way_is_awaited(nightly: Database) -> None:
    Backup.objects.update(status=Status.IN_PROGRESS, started_at=DUE)
    assert tell_overdue() == 0


def test_a_frequent_schedule_is_overdue_too(nightly: Database) -> None:
    """Its newest slot is always young."""
    Database.objects.update(schedule="0 * * * *")
    assert ensure_slots() == 3
    assert tell_overdue() == 1


def test_a_start_that_was_put_off_is_not_late(nightly: Database) -> None:
    Backup.objects.update(status=Status.SCHEDULED, scheduled_at=DUE + timedelta(hours=2))
    assert tell_overdue() == 0


def test_who_is_always_off_at_its_time_and_does_not_catch_up_is_told_of(nightly: Database, past: Clock) -> None:
    Backup.objects.all().delete()
    Slot.objects.all().delete()
    Database.objects.update(catch_up="none")
    ensure_slots()
    assert tell_overdue() == 1
    assert "missed, and catch_up is none" in Event.objects.get(kind="backup.overdue").hint


@pytest.mark.parametrize("values", [{"enabled": False}, {"schedule": None}, {"scheduled_since": DUE}])
def test_what_is_no_longer_wanted_is_not_overdue(nightly: Database, values: dict[str, object]) -> None:
    Database.objects.update(**values)
    assert tell_overdue() == 0


def test_a_pause_is_not_overdue_and_neither_is_what_it_left_out(nightly: Database) -> None:
    policy = Policy.objects.create(paused=True)
    assert tell_overdue() == 0
    Slot.objects.all().delete()
    ensure_slots()
    policy.paused = False
    policy.save()
    assert tell_overdue() == 0


def test_a_quiet_round_takes_the_same_queries_for_many_databases(nightly: Database) -> None:
    tell_overdue()
    with CaptureQueriesContext(connection) as few:
        tell_overdue()
    for number in range(20):
        database = make_database(pk=f"db-{number}", schedule="0 3 * * *", scheduled_since=DUE - timedelta(hours=2))
        Slot.objects.create(database=database, due_at=DUE, outcome="requested")
        make_backup(database, started_at=DUE, finished_at=DUE + timedelta(minutes=1))
    with CaptureQueriesContext(connection) as many:
        assert tell_overdue() == 0
    assert len(many) == len(few) <= 3


@pytest.mark.django_db(transaction=True)
def test_two_sweepers_at_once_tell_it_once(nightly: Database) -> None:
    start, told_by = threading.Barrier(2), []

    def look() -> None:
        start.wait()
        told_by.append(tell_overdue())
        connection.close()

    sweepers = [threading.Thread(target=look) for _ in range(2)]
    for sweeper in sweepers:
        sweeper.start()
    for sweeper in sweepers:
        sweeper.join()
    assert sorted(told_by) == [0, 1]
    assert told() == ["backup.overdue"]


def test_doctor_sees_a_due_time_that_nobody_recorded(nightly: Database, past: Clock) -> None:
    assert [message for state, message, _ in schedules() if state == FAIL] == []
    past(timedelta(days=1, seconds=90))
    assert [message for state, message, _ in schedules() if state == FAIL] == []
    past(timedelta(days=1, seconds=150))
    [(message, hint)] = [(message, hint) for state, message, hint in schedules() if state == FAIL]
    assert message.endswith(": shop")
    assert "sweeper has stopped" in hint
    ensure_slots()
    assert not any(state == FAIL for state, _, _ in schedules())


def test_doctor_names_what_is_overdue(nightly: Database) -> None:
    tell_overdue()
    assert any(state == FAIL and message.endswith("since: shop") for state, message, _ in schedules())
