"""What the first page lists: who did what, the drills that ended, and what waits for somebody to look."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from audit.models import Entry
from backups.models import Anomaly, Backup, Drill
from databases.models import Database
from jobs.models import Status

LogIn = Callable[[str], Client]
MakeBackup = Callable[..., Backup]


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    cache.clear()


def page(browser: Client) -> str:
    return str(browser.get("/admin/").content.decode())


def test_admins_read_who_did_what_and_nobody_else_does(log_in: LogIn, make_backup: MakeBackup) -> None:
    make_backup()
    entry = Entry.objects.create(
        who="jo", via="admin", action="database.back-up", outcome="done", object_name="The till"
    )
    told = page(log_in("admin"))
    assert "database · back up · The till" in told
    assert f"/admin/audit/entry/{entry.pk}/change/" in told
    assert "The till" not in page(log_in("operator"))


def test_drills_that_ended_are_listed_the_newest_first(log_in: LogIn, shop: Database, make_backup: MakeBackup) -> None:
    make_backup()
    now = timezone.now()
    ended: dict[str, Any] = {"database": shop, "database_name": shop.name, "backup_label": "x", "started_at": now}
    for hours, status, error in ((9, Status.COMPLETED, ""), (1, Status.FAILED, "One row is missing.")):
        at = now - timedelta(hours=hours)
        Drill.objects.create(**ended, status=status, error_message=error, created_at=at, finished_at=at)
    browser = log_in("viewer")
    listed = browser.get("/admin/").context["dashboard"].now.drills
    assert [run.status for run in listed] == ["failed", "completed"]
    assert "One row is missing." in page(browser)


def test_an_anomaly_that_nobody_looked_at_is_in_the_verdict(
    log_in: LogIn, shop: Database, make_backup: MakeBackup
) -> None:
    finding = {"measure": "item", "name": "public.orders", "change": "emptied", "found": 0, "previous": 9}
    Anomaly.objects.create(backup=make_backup(), database=shop, findings=[{**finding, "low": 8, "high": 10}])
    told = page(log_in("viewer"))
    assert "1 has an anomaly to look at" in told
    assert "/admin/databases/database/?standing=held" in told
