"""What lies at each destination is counted once a minute, and kept for each day."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backups.admin.destination_page import Used, used_of
from backups.models import Backup, Copy, Destination, Usage
from backups.services.count_usage import count_usage
from databases.models import Database
from exports.models import Export, ExportObject
from jobs.models import Status
from packages.models import Package, PackageCopy

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


@pytest.fixture
def packed(disk: Destination) -> Destination:
    """Two packages, one of them being removed, and an export; 1111 bytes of them are there."""
    for size, state in ((1000, "stored"), (500, "deleting")):
        package = Package.objects.create(status=Status.COMPLETED, size=size)
        PackageCopy.objects.create(package=package, destination=disk, attempt=1, key=package.pk, state=state)
    export = Export.objects.create(status=Status.COMPLETED, pubkey="a" * 64, size=111)
    ExportObject.objects.create(export=export, destination=disk, attempt=1, key=export.pk, state="stored")
    return disk


def test_packages_and_exports_take_room_too(packed: Destination) -> None:
    stored(packed, 20)
    count_usage()
    assert Usage.objects.values_list("stored_bytes", "copies").get() == (1131, 3)


def test_before_the_first_count_the_page_of_a_destination_says_the_same(packed: Destination) -> None:
    stored(packed, 20)
    row: Any = packed
    row.used_bytes = row.used_copies = None
    assert used_of(row) == Used(1131, 3, None)


def test_how_many_there_are_asks_no_more_questions(packed: Destination) -> None:
    def asked() -> int:
        Usage.objects.all().delete()
        with CaptureQueriesContext(connection) as queries:
            count_usage()
        return len(queries)

    few = asked()
    for number in range(5):
        stored(Destination.objects.create(id=f"d{number}", name="More", kind="local", path=f"/{number}"), 10)
        package = Package.objects.create(status=Status.COMPLETED, size=1)
        PackageCopy.objects.create(package=package, destination_id="disk", attempt=1, key=package.pk, state="stored")
    assert asked() == few


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
