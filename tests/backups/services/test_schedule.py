"""Slots: every due time of a schedule is recorded once, whatever else happens to the Database."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from backups.models import Backup, Slot
from backups.services.forget_slots import forget_old_slots
from backups.services.schedule import REMEMBERED, ensure_slot, ensure_slots, unrecorded
from databases.models import Database, Policy
from databases.schedule import latest_runs
from databases.services.beat import keep_in_step
from databases.services.save import save_database
from jobs.models import Status
from tests.api import api, make_database, make_destination

pytestmark = pytest.mark.django_db
DUE = datetime(2026, 3, 4, 3, 0, tzinfo=UTC)


@pytest.fixture
def nightly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Due at 3 o'clock since yesterday; it is five seconds past."""
    make_destination(tmp_path)
    monkeypatch.setattr("django.utils.timezone.now", lambda: DUE + timedelta(seconds=5))
    return make_database(schedule="0 3 * * *", scheduled_since=DUE - timedelta(days=1, hours=-1))


def test_a_due_time_is_backed_up_once(nightly: Database) -> None:
    assert [ensure_slot(database_id=nightly.pk, now=DUE + timedelta(seconds=age)) for age in (-1, 5, 20)] == [0, 1, 0]
    slot = Slot.objects.get()
    assert (slot.due_at, slot.outcome) == (DUE, Slot.Outcome.REQUESTED)
    assert slot.backup is not None and slot.backup.trigger == Backup.Trigger.SCHEDULE


def test_a_change_of_anything_else_right_after_the_due_time_loses_no_run(nightly: Database) -> None:
    save_database(database=nightly, values={"name": "New"}, create=False)
    assert ensure_slot(database_id=nightly.pk, now=DUE + timedelta(seconds=20)) == 1


@pytest.mark.parametrize("values", [{"schedule": "0 2 * * *"}, {"timezone": "Asia/Kolkata"}, {"enabled": False}])
def test_a_change_of_the_schedule_invents_no_past(nightly: Database, values: dict[str, object]) -> None:
    save_database(database=nightly, values=values, create=False)
    assert ensure_slot(database_id=nightly.pk, now=DUE + timedelta(seconds=20)) == 0


def outcomes() -> list[tuple[datetime, str]]:
    return [(slot.due_at, slot.outcome) for slot in Slot.objects.order_by("due_at")]


def end_backups() -> None:
    Backup.objects.update(status=Status.COMPLETED)


def test_after_an_outage_one_run_stands_for_all_that_were_missed(nightly: Database) -> None:
    after = DUE + timedelta(days=3, hours=2)
    assert ensure_slot(database_id=nightly.pk, now=after) == 4
    missed = [(DUE + timedelta(days=day), Slot.Outcome.SKIPPED) for day in range(3)]
    assert outcomes() == [*missed, (DUE + timedelta(days=3), Slot.Outcome.CAUGHT_UP)]
    assert Backup.objects.get().trigger == Backup.Trigger.CATCH_UP


def test_after_a_long_outage_of_a_frequent_schedule_few_rows_are_made(nightly: Database) -> None:
    Database.objects.update(schedule="* * * * *")
    assert ensure_slot(database_id=nightly.pk, now=DUE + timedelta(days=90)) == REMEMBERED + 1
    assert Backup.objects.count() == 1


def test_who_does_not_catch_up_gets_nothing_for_a_missed_time(nightly: Database) -> None:
    Database.objects.update(catch_up="none")
    ensure_slot(database_id=nightly.pk, now=DUE + timedelta(hours=2))
    assert outcomes() == [(DUE, Slot.Outcome.SKIPPED)]
    assert not Backup.objects.exists()


def test_nothing_piles_up_behind_a_backup_that_runs(nightly: Database) -> None:
    ensure_slot(database_id=nightly.pk, now=DUE)
    ensure_slot(database_id=nightly.pk, now=DUE + timedelta(days=1))
    assert Backup.objects.count() == 1
    assert "still waits or runs" in Slot.objects.get(due_at=DUE + timedelta(days=1)).reason


def test_a_pause_of_the_site_is_the_reason_of_every_slot_in_it(nightly: Database) -> None:
    Policy.objects.create(paused=True)
    assert ensure_slot(database_id=nightly.pk, now=DUE) == 1
    assert "paused" in Slot.objects.get().reason
    assert not Backup.objects.exists()


def test_a_blackout_puts_the_start_off_to_its_end(nightly: Database) -> None:
    Policy.objects.create(blackouts=[{"from": "02:30", "to": "04:15"}])
    ensure_slot(database_id=nightly.pk, now=DUE)
    backup = Backup.objects.get()
    assert (backup.status, backup.scheduled_at) == (Status.SCHEDULED, DUE.replace(hour=4, minute=15))


def test_jitter_spreads_the_starts_and_is_the_same_whoever_asks(nightly: Database, tmp_path: Path) -> None:
    Policy.objects.create(jitter_s=600)
    starts = set()
    for number in range(8):
        database = make_database(pk=f"db-{number}", schedule="0 3 * * *", scheduled_since=nightly.scheduled_since)
        ensure_slot(database_id=database.pk, now=DUE)
        starts.add(Backup.objects.get(database=database).scheduled_at)
    assert len(starts) > 4
    assert all(start is None or DUE < start <= DUE + timedelta(seconds=600) for start in starts)


def test_an_inherited_schedule_is_the_policys(nightly: Database) -> None:
    Database.objects.update(schedule="inherit")
    assert ensure_slot(database_id=nightly.pk, now=DUE) == 0
    Policy.objects.create(schedule="0 3 * * *")
    assert ensure_slot(database_id=nightly.pk, now=DUE) == 1


def test_a_clock_that_steps_back_a_day_starts_nothing_twice(nightly: Database) -> None:
    ensure_slot(database_id=nightly.pk, now=DUE)
    end_backups()
    for hours in (-23, -12, 0):
        assert ensure_slot(database_id=nightly.pk, now=DUE + timedelta(hours=hours)) == 0
    assert ensure_slot(database_id=nightly.pk, now=DUE + timedelta(days=1)) == 1


def test_a_clock_that_ran_a_year_ahead_leaves_no_year_without_backups(
    nightly: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = DUE + timedelta(days=365)
    assert ensure_slot(database_id=nightly.pk, now=ahead) > 0
    end_backups()
    assert ensure_slot(database_id=nightly.pk, now=DUE) == 1
    Database.objects.update(scheduled_since=ahead)
    end_backups()
    assert ensure_slot(database_id=nightly.pk, now=DUE + timedelta(days=2)) > 0
    monkeypatch.setattr("django.utils.timezone.now", lambda: DUE + timedelta(days=4))
    assert unrecorded() == [nightly.pk]


UNREADABLE = [{"timezone": "Mars/Base"}, {"schedule": "nonsense"}, {"schedule": ""}, {"schedule": 5}, {"schedule": {}}]


@pytest.mark.parametrize("values", UNREADABLE)
def test_a_row_that_cannot_be_read_keeps_no_other_from_its_backups(nightly: Database, values: dict[str, Any]) -> None:
    make_database("an-earlier-one", schedule="0 3 * * *")
    Database.objects.filter(pk="an-earlier-one").update(**values)
    assert ensure_slots() == 1
    assert Slot.objects.get().database == nightly
    assert keep_in_step() == 1
    assert unrecorded() == ["an-earlier-one"]
    shown = api("viewer").get("/api/databases").json()["results"]
    assert [one["next_runs"] == [] for one in sorted(shown, key=lambda one: one["id"])] == [True, False]


def test_a_round_of_the_sweeper_takes_the_same_queries_for_many_databases_when_nothing_is_due(
    nightly: Database, django_assert_num_queries: Any
) -> None:
    ensure_slot(database_id=nightly.pk, now=DUE)
    for number in range(30):
        make_database(pk=f"db-{number}", schedule="30 4 * * *", scheduled_since=DUE)
    with django_assert_num_queries(2):
        assert ensure_slots() == 0


ZONES = ("America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/Santiago", "Asia/Kolkata")


@pytest.mark.parametrize("zone", ZONES)
def test_both_changes_of_the_clocks_give_one_run_a_day(nightly: Database, zone: str) -> None:
    """At half past two, which one day of the year does not have and another has twice."""
    start = datetime(2026, 1, 1, 12, tzinfo=UTC)
    due = latest_runs(["30 2 * * *"], zone, after=start, until=start + timedelta(days=365), count=1000)
    days = [at.astimezone(ZoneInfo(zone)).date() for at in due]
    assert len(days) == len(set(days)) == 365


def test_four_hundred_days_with_outages_miss_nothing_and_run_nothing_twice(nightly: Database) -> None:
    chance = Random(7)
    Database.objects.update(schedule=["30 2 * * *", "0 3 31 * *"], timezone="America/New_York", scheduled_since=DUE)
    now = DUE
    last = DUE + timedelta(days=400)
    while now < last:
        now += timedelta(hours=chance.choice([1, 2, 3, 5, 60]))
        Backup.objects.update(status=Status.COMPLETED)
        ensure_slot(database_id=nightly.pk, now=now)
    due = latest_runs(["30 2 * * *", "0 3 31 * *"], "America/New_York", after=DUE, until=now, count=1000)
    recorded = dict(outcomes())
    assert sorted(recorded) == sorted(due)
    assert sum(at.astimezone(ZoneInfo("America/New_York")).day == 31 for at in due) > 7
    runs = [at for at, outcome in recorded.items() if outcome != Slot.Outcome.SKIPPED]
    assert Backup.objects.count() == len(runs)
    for missed in set(recorded) - set(runs):
        assert any(missed < run <= missed + timedelta(hours=61) for run in runs), "an outage ends with a catch-up"


def test_old_slots_go_and_the_newest_of_each_database_stays(nightly: Database) -> None:
    other = make_database(pk="other")
    now = timezone.now()
    for database, ages in ((nightly, (500, 450, 10)), (other, (900, 800))):
        for age in ages:
            Slot.objects.create(database=database, due_at=now - timedelta(days=age), outcome=Slot.Outcome.SKIPPED)
    assert forget_old_slots() == 3
    left = sorted((slot.database_id, (now - slot.due_at).days) for slot in Slot.objects.all())
    assert left == [("other", 800), ("shop", 10)]
