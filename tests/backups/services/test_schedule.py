"""Slots: every due time of a schedule is recorded once, whatever else happens to the Database."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backups.models import Backup, Slot
from backups.services.schedule import ensure_slot
from databases.models import Database
from databases.services.save import save_database
from tests.api import make_database, make_destination

pytestmark = pytest.mark.django_db
DUE = datetime(2026, 3, 4, 3, 0, tzinfo=UTC)


@pytest.fixture
def nightly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Due at 3 o'clock since yesterday; it is five seconds past."""
    make_destination(tmp_path)
    monkeypatch.setattr("django.utils.timezone.now", lambda: DUE + timedelta(seconds=5))
    return make_database(schedule="0 3 * * *", scheduled_since=DUE - timedelta(days=1, hours=-1))


def test_a_due_time_is_backed_up_once(nightly: Database) -> None:
    assert [ensure_slot(database=nightly, now=DUE + timedelta(seconds=age)) for age in (-1, 5, 20)] == [0, 1, 0]
    slot = Slot.objects.get()
    assert (slot.due_at, slot.outcome) == (DUE, Slot.Outcome.REQUESTED)
    assert slot.backup is not None and slot.backup.trigger == Backup.Trigger.SCHEDULE


def test_a_change_of_anything_else_right_after_the_due_time_loses_no_run(nightly: Database) -> None:
    save_database(database=nightly, values={"name": "New"}, create=False)
    assert ensure_slot(database=Database.objects.get(), now=DUE + timedelta(seconds=20)) == 1


@pytest.mark.parametrize("values", [{"schedule": "0 2 * * *"}, {"timezone": "Asia/Kolkata"}, {"enabled": False}])
def test_a_change_of_the_schedule_invents_no_past(nightly: Database, values: dict[str, object]) -> None:
    save_database(database=nightly, values=values, create=False)
    assert ensure_slot(database=Database.objects.get(), now=DUE + timedelta(seconds=20)) == 0
