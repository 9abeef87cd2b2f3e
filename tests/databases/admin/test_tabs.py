"""The tabs of a Database's page: each an address of its own, read only, for the roles that may read it."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backups.models import Drill, Slot
from databases.models import Database
from tests.api import browser_of, make_backup, make_database, make_destination

PAGE = "/admin/databases/database/shop/"
TABS = ("change", "backups", "drills", "schedule", "changes")

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop() -> Database:
    return make_database(schedule="30 3 * * *", max_backups=2)


@pytest.mark.parametrize("tab", TABS)
def test_each_opens_empty_and_says_where_one_is(shop: Database, tab: str) -> None:
    page = browser_of("admin").get(f"{PAGE}{tab}/").content.decode()
    assert page.count('aria-current="page"') >= 1
    assert f'href="{PAGE}{tab}/" aria-current="page"' in page
    assert browser_of("admin").post(f"{PAGE}{tab}/").status_code == 405


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_who_changed_it_is_read_by_admins(shop: Database, role: str) -> None:
    browser = browser_of(role)
    assert f"{PAGE}changes/" not in browser.get(f"{PAGE}change/").content.decode()
    assert browser.get(f"{PAGE}changes/").status_code == 403
    assert {browser.get(f"{PAGE}{tab}/").status_code for tab in TABS[:-1]} == {200}


def test_its_backups_are_listed_by_pages_with_a_constant_number_of_questions(shop: Database) -> None:
    place, browser, counts = make_destination(), browser_of("viewer"), []
    for more in (3, 27):
        for age in range(more):
            make_backup(shop, destination=place, size=1000, created_at=timezone.now() - timedelta(hours=age))
        with CaptureQueriesContext(connection) as asked:
            page = browser.get(f"{PAGE}backups/").content.decode()
        counts.append(len(asked))
    assert counts[0] == counts[1]
    assert page.count("/admin/backups/backup/bkp_") == 25
    assert "Page 1 of 2" in page
    assert browser.get(f"{PAGE}backups/?page=2").content.decode().count("/admin/backups/backup/bkp_") == 5


def test_due_times_say_what_became_of_them_and_retention_what_goes_next(shop: Database) -> None:
    place, now = make_destination(), timezone.now()
    done = [make_backup(shop, destination=place, finished_at=now - timedelta(days=age)) for age in (1, 2, 3)]
    Slot.objects.create(database=shop, due_at=now - timedelta(hours=1), outcome="requested", backup=done[0])
    Slot.objects.create(database=shop, due_at=now - timedelta(hours=2), outcome="skipped", reason="It was paused.")
    page = " ".join(browser_of("viewer").get(f"{PAGE}schedule/").content.decode().split())
    assert "It was paused." in page
    assert f"/admin/backups/backup/{done[0].pk}/change/" in page
    assert "At 03:30 every day" in page
    assert "1 backup would go" in page


def test_its_drills_are_listed_with_the_plan(shop: Database) -> None:
    backup = make_backup(shop)
    run = Drill.objects.create(database=shop, backup=backup, backup_label=backup.pk, error_message="It broke.")
    page = browser_of("viewer").get(f"{PAGE}drills/").content.decode()
    assert f"/admin/backups/drill/{run.pk}/change/" in page
    assert "It broke." in page
    assert "Assertions" in page


def test_what_somebody_did_is_told_with_who_and_what_changed(shop: Database) -> None:
    browser = browser_of("admin")
    many = {"action": "pause_all", "_selected_action": ["other", "shop"], "confirmed": "1", "select_across": "0"}
    make_database("other", name="Another")
    browser.post("/admin/databases/database/", many)
    browser.post(f"{PAGE}masking/", {"masking": ""})
    page = browser.get(f"{PAGE}changes/").content.decode()
    assert "pause all" in page
    assert "enabled: True → False" in page
    assert "admin (admin)" in page
