"""A Database is protected by copies that exist and can be read, and by nothing else."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from backups.models import Backup, Copy, Destination, Overdue
from backups.standing import STANDINGS, Standing, ids_standing, standings
from databases.models import Database, Policy
from jobs.models import Status

pytestmark = pytest.mark.django_db


@pytest.fixture
def disk() -> Destination:
    return Destination.objects.create(id="disk", name="Disk", kind="local", path="/backups", is_default=True)


def database(name: str, **values: Any) -> Database:
    return Database.objects.create(id=name, name=name.capitalize(), engine="postgres", **values)


def backed_up(of: Database, at: Destination, *, hours: int = 1, state: str = "stored", **values: Any) -> Backup:
    began = timezone.now() - timedelta(hours=hours)
    given = {"status": Status.COMPLETED, "created_at": began, "started_at": began, "finished_at": began, "size": 10}
    backup = Backup.objects.create(database=of, database_name=of.name, engine="postgres", **{**given, **values})
    if backup.status == Status.COMPLETED:
        Copy.objects.create(backup=backup, destination=at, attempt=1, key=backup.pk, state=state)
    return backup


def standing(of: Database) -> Standing:
    (found,) = standings(only=[of.pk])
    return found


def test_a_stored_copy_protects(disk: Destination) -> None:
    shop = database("shop")
    assert standing(shop).unprotected
    assert ids_standing("bare") == ["shop"]
    backup = backed_up(shop, disk)
    assert standing(shop).protected
    assert standing(shop).good_at == backup.started_at


@pytest.mark.parametrize("state", ["writing", "quarantined", "deleting"])
def test_a_copy_that_nobody_can_read_does_not(disk: Destination, state: str) -> None:
    shop = database("shop")
    backed_up(shop, disk, state=state)
    assert standing(shop).unprotected


def test_a_copy_at_a_destination_that_is_down_does_not_and_one_at_a_full_one_does(disk: Destination) -> None:
    shop = database("shop")
    backed_up(shop, disk)
    Destination.objects.update(fault="destination_unreachable")
    assert standing(shop).unprotected
    Destination.objects.update(fault="destination_full")
    assert standing(shop).protected


def test_an_older_backup_protects_where_the_newest_lost_its_copy(disk: Destination) -> None:
    shop = database("shop")
    older = backed_up(shop, disk, hours=30)
    backed_up(shop, disk, state="quarantined")
    assert standing(shop).good_at == older.started_at


def test_an_incremental_is_worth_what_its_chain_is(disk: Destination) -> None:
    shop = database("shop")
    lost = backed_up(shop, disk, hours=90, state="quarantined")
    backed_up(shop, disk, hours=80, type="incremental", parent=lost)
    assert standing(shop).unprotected, "the full backup below it cannot be read"
    full = backed_up(shop, disk, hours=70)
    middle = backed_up(shop, disk, hours=60, type="incremental", parent=full)
    last = backed_up(shop, disk, hours=50, type="incremental", parent=middle)
    assert standing(shop).good_at == last.started_at, "an earlier broken chain does not matter"
    middle.copies.update(state="quarantined")
    assert standing(shop).good_at == full.started_at


def test_what_is_overdue_is_not_protected_however_good_its_copies(disk: Destination) -> None:
    shop = database("shop")
    backed_up(shop, disk, hours=50)
    Overdue.objects.create(database=shop, due_at=timezone.now(), since=timezone.now() - timedelta(hours=26))
    found = standing(shop)
    assert (found.protected, found.overdue, found.failing) == (False, True, False)


def test_a_failure_is_the_newest_run_that_ended(disk: Destination) -> None:
    shop = database("shop")
    failed = backed_up(shop, disk, hours=2, status=Status.FAILED, error_message="No.", error_hint="Look.")
    found = standing(shop)
    assert found.failure is not None
    assert (found.failure["id"], found.failure["message"], found.failed_at) == (failed.pk, "No.", failed.finished_at)
    backed_up(shop, disk, status=Status.IN_PROGRESS, hours=0)
    assert standing(shop).failing, "a run that has not ended says nothing yet"
    backed_up(shop, disk)
    assert not standing(shop).failing


def test_what_is_disabled_is_neither_protected_nor_not(disk: Destination) -> None:
    shop = database("shop", enabled=False)
    backed_up(shop, disk)
    assert [name for name in STANDINGS if ids_standing(name)] == ["disabled"]


def test_nothing_is_due_while_schedules_are_paused(disk: Destination) -> None:
    shop = database("shop", schedule="0 * * * *")
    assert standing(shop).due
    Policy.objects.update_or_create(pk=1, defaults={"paused": True})
    assert not standing(shop).due


def test_all_of_them_are_one_query(disk: Destination, django_assert_num_queries: Any) -> None:
    for number in range(12):
        backed_up(database(f"db{number}"), disk)
    with django_assert_num_queries(1):
        assert len(standings()) == 12
