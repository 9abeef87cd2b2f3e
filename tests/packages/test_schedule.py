"""Packages by themselves: one for each due time, once, and what an outage missed is caught up once."""

from datetime import UTC, datetime, timedelta

import pytest

from databases.models import Database, Policy
from jobs.models import Status
from packages.models import Package, PackagePolicy, PackageSlot
from packages.services.save_policy import save_package_policy
from packages.services.schedule import ensure_slots
from tests.api import make_backup, make_database, make_destination

pytestmark = pytest.mark.django_db
START = datetime(2026, 3, 1, 0, 0, tzinfo=UTC)


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = START
        monkeypatch.setattr("django.utils.timezone.now", lambda: self.now)

    def to(self, **forward: int) -> int:
        """Moves on from the start and lets the sweeper look; the new slots."""
        self.now = START + timedelta(**forward)
        return ensure_slots()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock(monkeypatch)
    make_backup(make_database(package=True), destination=make_destination())
    save_package_policy(values={"schedule": "0 4 * * *"})
    return found


def outcomes() -> list[str]:
    return [slot.outcome for slot in PackageSlot.objects.order_by("due_at")]


def test_a_due_time_makes_one_package(clock: Clock) -> None:
    assert clock.to(hours=3, minutes=59) == 0
    assert clock.to(hours=4) == 1
    assert [clock.to(hours=4, seconds=seconds) for seconds in (0, 20, 40)] == [0, 0, 0]
    slot = PackageSlot.objects.get()
    assert (slot.outcome, slot.due_at) == ("requested", START + timedelta(hours=4))
    assert slot.package is not None and slot.package.trigger == "schedule"
    assert Package.objects.count() == 1


def test_an_outage_is_caught_up_once(clock: Clock) -> None:
    assert clock.to(days=3, hours=12) == 4
    assert outcomes() == ["skipped", "skipped", "skipped", "caught_up"]
    assert Package.objects.get().trigger == "catch_up"
    assert clock.to(days=3, hours=13) == 0


def test_a_clock_that_ran_ahead_leaves_no_time_without_packages(clock: Clock) -> None:
    assert clock.to(days=365, hours=5) > 0
    Package.objects.update(status="completed")
    assert clock.to(days=1, hours=4) > 0


def test_none_piles_up_behind_one_that_waits(clock: Clock) -> None:
    clock.to(hours=4)
    clock.to(days=1, hours=4)
    assert outcomes() == ["requested", "skipped"]
    assert "earlier package" in PackageSlot.objects.order_by("due_at")[1].reason
    Package.objects.update(status=Status.COMPLETED)
    clock.to(days=2, hours=4)
    assert outcomes()[-1] == "requested"


def test_a_new_schedule_invents_no_past(clock: Clock) -> None:
    clock.now = START + timedelta(hours=12)
    save_package_policy(values={"schedule": "0 5 * * *"})
    assert clock.to(hours=13) == 0
    assert clock.to(days=1, hours=5) == 1


def test_a_policy_saved_without_another_schedule_keeps_its_due_times(clock: Clock) -> None:
    clock.now = START + timedelta(hours=5)
    save_package_policy(values={"max_packages": 3})
    assert clock.to(hours=6) == 1


def test_it_means_its_own_timezone(clock: Clock) -> None:
    save_package_policy(values={"timezone": "Asia/Kolkata"})
    assert clock.to(hours=22, minutes=30) == 1
    assert PackageSlot.objects.get().due_at == START + timedelta(hours=22, minutes=30)


def test_a_pause_and_a_blackout_are_kept(clock: Clock) -> None:
    policy = Policy.objects.create(paused=True)
    clock.to(hours=4)
    assert PackageSlot.objects.get().reason == "schedules are paused"
    Policy.objects.filter(pk=policy.pk).update(paused=False, blackouts=[{"from": "03:00", "to": "06:00"}])
    clock.to(days=1, hours=4)
    package = Package.objects.get()
    assert (package.status, package.scheduled_at) == (Status.SCHEDULED, START + timedelta(days=1, hours=6))


def test_nothing_to_package_is_a_skipped_slot_with_the_reason(clock: Clock) -> None:
    Database.objects.update(package=False)
    assert clock.to(hours=4) == 1
    assert "No Database is to be packaged" in PackageSlot.objects.get().reason


def test_without_a_schedule_nothing_is_due(clock: Clock) -> None:
    save_package_policy(values={"schedule": None})
    assert clock.to(days=30) == 0
    assert not PackagePolicy.objects.filter(schedule__isnull=False).exists()
