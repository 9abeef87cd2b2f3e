"""The page of a destination: how full it is, how it grows, what is on it, what keeps copies there."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from backups.models import Backup, Copy, DatabaseDestination, Destination, Usage
from databases.models import Database

pytestmark = pytest.mark.django_db

LogIn = Callable[[str], Client]
PAGE = "/admin/backups/destination/disk/change/"


def text_of(browser: Client, address: str = PAGE) -> str:
    return browser.get(address).content.decode()


def test_it_says_how_full_it_is_as_the_sweeper_counted_and_how_it_grew(log_in: LogIn, disk: Destination) -> None:
    today = timezone.now().date()
    for days, size in ((1, 5 << 30), (0, 6 << 30)):
        day = today - timedelta(days=days)
        Usage.objects.create(destination=disk, day=day, stored_bytes=size, copies=7, counted_at=timezone.now())
    Destination.objects.filter(pk="disk").update(free_bytes=2 << 30, looked_at=timezone.now())
    page = text_of(log_in("viewer"))
    assert all(words in page for words in ("6.0 GiB", "2.0 GiB", "in order", 'aria-valuenow="75"', "bks-spark"))
    listed = text_of(log_in("viewer"), "/admin/backups/destination/")
    assert "6.0 GiB" in listed and "7 artefacts" in listed


def test_before_the_sweeper_has_counted_it_counts_itself(
    log_in: LogIn, disk: Destination, make_backup: Callable[..., Backup]
) -> None:
    make_backup(size=3 << 30)
    page = text_of(log_in("viewer"))
    assert "3.0 GiB" in page and "not looked at yet" in page
    assert "not counted yet" in text_of(log_in("viewer"), "/admin/backups/destination/")


def test_it_says_what_is_on_it_and_what_keeps_it_there(
    log_in: LogIn, disk: Destination, shop: Database, make_backup: Callable[..., Backup]
) -> None:
    backup, other = make_backup(), make_backup()
    Copy.objects.filter(backup=backup).update(retain_until=timezone.now() + timedelta(days=3), locked=True)
    Copy.objects.filter(backup=other).update(state=Copy.State.QUARANTINED, error="SHA-256 differs.")
    DatabaseDestination.objects.create(database=shop, destination=disk, retention_days=30, lacking=2)
    page = text_of(log_in("viewer"))
    wanted = ("?database=shop", "Held by the store", "Locked by hand", "SHA-256 differs.", "for 30 days", "2 lacking")
    assert [words for words in wanted if words not in page] == []


def test_its_fault_is_a_word_and_its_form_has_only_what_its_kind_has(log_in: LogIn, disk: Destination) -> None:
    Destination.objects.filter(pk="disk").update(fault="destination_full", looked_at=timezone.now())
    admin = log_in("admin")
    assert "disc_full" in text_of(admin)
    form = text_of(admin, "/admin/backups/destination/disk/edit/")
    assert 'name="path"' in form and 'name="bucket"' not in form and 'name="object_lock_mode"' not in form
