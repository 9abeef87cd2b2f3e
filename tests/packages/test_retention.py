"""Limits: what is past them goes, the newest stays, failures count nowhere and are forgotten in their turn."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from backups.models import Destination
from databases.models import Policy
from jobs.models import LogLine, Status
from jobs.services.sweep import sweep
from packages.models import Package, PackageCopy, PackagePolicy
from packages.retention import past_limits
from tests.packages.conftest import Store, objects, pack

NOW = datetime(2026, 3, 1, tzinfo=UTC)
AGES = st.lists(st.integers(-10, 400), max_size=30)  # days; a clock may have stepped back
LIMIT = st.integers(0, 40)


def packages(ages: list[int]) -> list[tuple[str, datetime]]:
    return [(f"pkg_{number}", NOW - timedelta(days=age)) for number, age in enumerate(ages)]


@given(AGES, LIMIT, LIMIT)
def test_the_newest_stays_and_what_goes_is_past_a_limit(ages: list[int], days: int, most: int) -> None:
    completed = packages(ages)
    gone = past_limits(completed, retention_days=days, max_packages=most, now=NOW)
    kept = [found for found in completed if found[0] not in gone]
    assert len(set(gone)) == len(gone)
    if completed:
        assert max(at for _, at in kept) == max(at for _, at in completed)
    for pk, at in completed:
        newer = sum((other, name) > (at, pk) for name, other in completed)
        past = bool(days and at < NOW - timedelta(days=days)) or bool(most and newer >= most)
        assert (pk in gone) == (past and newer > 0)


@given(AGES)
def test_without_limits_nothing_goes(ages: list[int]) -> None:
    assert past_limits(packages(ages), retention_days=0, max_packages=0, now=NOW) == []


def test_the_oldest_go_with_their_objects_and_stay_as_history(store: Store, disk: Destination) -> None:
    store("shop", b"shop")
    made = [pack() for _ in range(4)]
    PackagePolicy.objects.create(max_packages=2)
    Package.objects.create(status=Status.FAILED, finished_at=timezone.now())
    sweep()
    states = [Package.objects.get(pk=package.pk).status for package in made]
    assert states == ["expired", "expired", "completed", "completed"]
    names = {name for package in made[2:] for name in (package.copies.get().key,)}
    assert objects(Path(disk.path)) == names | {f"{name}.manifest.json" for name in names}
    assert PackageCopy.objects.count() == 2


def test_the_last_good_one_stays_while_newer_ones_fail(store: Store, disk: Destination) -> None:
    store("shop", b"shop")
    good = pack()
    old = timezone.now() - timedelta(days=90)
    Package.objects.filter(pk=good.pk).update(finished_at=old, created_at=old)
    PackagePolicy.objects.create(max_packages=1, retention_days=7)
    for _ in range(3):
        Package.objects.create(status=Status.FAILED, finished_at=timezone.now())
    sweep()
    good.refresh_from_db()
    assert good.status == Status.COMPLETED
    assert len(objects(Path(disk.path))) == 2


@pytest.mark.django_db
def test_history_is_forgotten_after_its_days_with_its_log() -> None:
    Policy.objects.create(failed_days=30)
    long_ago, lately = timezone.now() - timedelta(days=31), timezone.now() - timedelta(days=29)
    old = [
        Package.objects.create(status=Status.FAILED, finished_at=long_ago),
        Package.objects.create(status=Status.EXPIRED, finished_at=long_ago, expires_at=long_ago),
    ]
    kept = {
        Package.objects.create(status=Status.CANCELLED, finished_at=lately).pk,
        Package.objects.create(status=Status.EXPIRED, finished_at=long_ago, expires_at=lately).pk,
        Package.objects.create(status=Status.COMPLETED, finished_at=long_ago).pk,
    }
    LogLine.objects.create(job_kind="package", job_id=old[0].pk, attempt=1, message="packing")
    sweep()
    assert set(Package.objects.values_list("pk", flat=True)) == kept
    assert not LogLine.objects.filter(job_kind="package").exists()


def test_one_whose_destination_is_away_is_removed_when_it_is_back(store: Store, disk: Destination) -> None:
    store("shop", b"shop")
    first, _ = pack(), pack()
    PackagePolicy.objects.create(max_packages=1)
    folder = Path(disk.path)
    folder.rename(folder.with_name("away"))
    sweep()
    copy = first.copies.get()
    assert (copy.state, bool(copy.error)) == (PackageCopy.State.DELETING, True)
    folder.with_name("away").rename(folder)
    sweep()
    assert not first.copies.exists()
    assert len(objects(folder)) == 2
