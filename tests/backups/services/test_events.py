"""What is told of backups: since when they fail, the last good one, and that it is good again."""

from datetime import UTC, datetime
from typing import Any

import pytest

from backups.models import Backup, Destination, Slot
from backups.services import look
from backups.services.events import record_backup_event
from backups.services.look import look_at_destinations
from backups.services.schedule import _miss, _skip
from databases.models import Database
from jobs.models import Status
from notifications.models import Event
from tests.api import make_backup, make_database
from tests.room import local_destination

pytestmark = pytest.mark.django_db


def at(hour: int) -> datetime:
    return datetime(2026, 3, 1, hour, tzinfo=UTC)


@pytest.fixture
def shop() -> Database:
    return make_database("shop")


def ended(database: Database, hour: int, status: str, **values: Any) -> Backup:
    """A backup that ended so at this hour, and what is told of it."""
    backup = make_backup(database, status=status, started_at=at(hour), finished_at=at(hour), **values)
    record_backup_event(backup)
    return backup


def kinds() -> list[str]:
    return list(Event.objects.order_by("pk").values_list("kind", flat=True))


def test_a_failure_says_since_when_and_the_last_good_backup(shop: Database) -> None:
    ended(shop, 1, Status.COMPLETED)
    ended(shop, 2, Status.FAILED)
    ended(shop, 3, Status.FAILED, error_message="No route to host.", error_hint="Check the host.")
    event = Event.objects.order_by("pk").last()
    assert event is not None
    assert event.data == {"since": at(2).isoformat(), "last_good_at": at(1).isoformat()}
    assert (event.message, event.hint) == ("The backup of Shop failed: No route to host.", "Check the host.")


def test_the_first_failure_ever_has_no_last_good_backup(shop: Database) -> None:
    ended(shop, 2, Status.FAILED)
    assert Event.objects.get().data["last_good_at"] is None


def test_the_first_good_backup_after_failures_is_a_recovery_and_the_next_is_none(shop: Database) -> None:
    crm = make_database("crm", name="Crm")
    ended(crm, 1, Status.FAILED)
    ended(shop, 1, Status.COMPLETED)
    ended(shop, 2, Status.FAILED)
    ended(shop, 3, Status.FAILED)
    ended(shop, 4, Status.COMPLETED)
    ended(shop, 5, Status.COMPLETED)
    recovered = Event.objects.get(kind="backup.recovered")
    assert (recovered.database_id, recovered.data) == ("shop", {"since": at(2).isoformat()})
    assert kinds()[-3:] == ["backup.completed", "backup.recovered", "backup.completed"]


def test_a_good_backup_whose_artefact_retention_took_was_good_all_the_same(shop: Database) -> None:
    ended(shop, 1, Status.FAILED)
    make_backup(shop, status=Status.EXPIRED, started_at=at(2), finished_at=at(2))
    ended(shop, 3, Status.COMPLETED)
    assert "backup.recovered" not in kinds()


def test_a_destination_that_goes_down_and_comes_back_is_told_of_once_each(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    local_destination(tmp_path / "disk")
    monkeypatch.setattr(look, "EVERY", look.EVERY * 0)
    look_at_destinations()
    assert kinds() == []
    marker = next(iter((tmp_path / "disk").iterdir()))
    text = marker.read_bytes()
    marker.unlink()
    look_at_destinations()
    look_at_destinations()
    marker.write_bytes(text)
    look_at_destinations()
    look_at_destinations()
    assert kinds() == ["destination.down", "destination.up"]
    Destination.objects.update(reserve_bytes=1 << 60)
    look_at_destinations()
    look_at_destinations()
    assert kinds()[2:] == ["destination.full"]
    assert Destination.objects.get().fault == "destination_full"


def test_what_was_skipped_is_told_of_once(shop: Database) -> None:
    for _ in range(2):
        _skip(shop, at(1), "an earlier backup still waits or runs")
        _skip(shop, at(2), "schedules are paused")
        _miss(shop, [at(3), at(4)])
    assert list(Event.objects.order_by("pk").values_list("severity", flat=True)) == ["warning", "info", "warning"]
    messages = list(Event.objects.order_by("pk").values_list("message", flat=True))
    assert messages[0] == "Shop was not backed up at 2026-03-01 01:00 UTC: an earlier backup still waits or runs."
    assert messages[2].startswith("2 due times of Shop were missed")
    assert Slot.objects.count() == 4
