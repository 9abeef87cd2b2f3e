"""What lies at each destination is counted once a minute, and kept for each day."""

from datetime import timedelta

import pytest
from django.utils import timezone

from backups.models import Backup, Copy, Destination, Usage
from backups.services.count_usage import count_usage
from databases.models import Database
from jobs.models import Status

pytestmark = pytest.mark.django_db


def stored(at: Destination, size: int, state: str = "stored") -> None:
    database, _ = Database.objects.get_or_create(id="shop", defaults={"name": "Shop", "engine": "postgres"})
    backup = Backup.objects.create(
        database=database, database_name="Shop", engine="postgres", status=Status.COMPLETED, size=size
    )
    Copy.objects.create(backup=backup, destination=at, attempt=1, key=backup.pk, state=state)


@pytest.fixture
def disk() -> Destination:
    return Destination.objects.create(id="disk", name="Disk", kind="local", path="/backups", is_default=True)


def later(minutes: int = 5) -> None:
    Usage.objects.update(counted_at=timezone.now() - timedelta(minutes=minutes))


def test_stored_copies_are_summed_for_each_destination(disk: Destination) -> None:
    Destination.objects.create(id="empty", name="Empty", kind="local", path="/other")
    stored(disk, 100)
    stored(disk, 20)
    stored(disk, 3, state="quarantined")
    assert count_usage() == 2
    counted = Usage.objects.order_by("destination").values_list("destination", "stored_bytes", "copies")
    assert list(counted) == [("disk", 120, 2), ("empty", 0, 0)]


def test_not_again_within_a_minute_and_one_row_a_day(disk: Destination) -> None:
    stored(disk, 100)
    assert (count_usage(), count_usage()) == (1, 0)
    stored(disk, 50)
    later()
    assert count_usage() == 1
    assert Usage.objects.get().stored_bytes == 150


def test_days_that_are_over_stay_and_very_old_ones_go(disk: Destination) -> None:
    stored(disk, 100)
    count_usage()
    today = timezone.now().date()
    for days in (1, 401):
        Usage.objects.create(
            destination=disk,
            day=today - timedelta(days=days),
            stored_bytes=7,
            copies=1,
            counted_at=timezone.now() - timedelta(days=days),
        )
    later()
    count_usage()
    kept = Usage.objects.values_list("day", "stored_bytes")
    assert list(kept) == [(today - timedelta(days=1), 7), (today, 100)]
