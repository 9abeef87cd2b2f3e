"""Masking rules in a box, and two people at two browsers."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from backups.models import Approval, Backup, Destination, Restore
from databases.models import Database
from databases.selectors import masking_of
from jobs.models import Status
from tests.api import make_backup

LogIn = Callable[[str], Client]
MASKING = "/admin/databases/database/shop/masking/"
MAIL = {"item": "public.people", "column": "mail", "method": "fake", "value": "email"}
ODD = {"item": 'odd."Ta ble"', "column": "it's", "method": "fixed", "value": "two words"}


def text(answer: Any) -> str:
    return str(answer.content.decode())


def test_rules_are_written_a_line_each(log_in: LogIn, shop: Database) -> None:
    browser = log_in("admin")
    lines = "public.people mail fake email\n\n'odd.\"Ta ble\"' \"it's\" fixed 'two words'\n"
    assert browser.post(MASKING, {"masking": lines}).status_code == 302
    assert masking_of(shop) == [ODD, MAIL]
    page = text(browser.get(MASKING))
    assert "public.people mail fake email" in page and "two words" in page
    assert "public.people.mail" in text(browser.get("/admin/databases/database/shop/change/"))
    browser.post(MASKING, {"masking": ""})
    assert masking_of(shop) == []


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("public.people mail", "Line 1"),
        ("public.people mail null\nx 'y", "Line 2"),
        ("public.people mail null\npeople mail null", "Rule 2: Name the table with its schema"),
        ("public.people mail fake iban", "Rule 1: Say in value"),
    ],
)
def test_faults_are_told_beside_the_box(lines: str, words: str, log_in: LogIn, shop: Database) -> None:
    answer = log_in("admin").post(MASKING, {"masking": lines})
    assert answer.status_code == 200 and words in text(answer)
    assert masking_of(shop) == []


def test_operators_do_not_change_rules(log_in: LogIn, shop: Database) -> None:
    assert log_in("operator").post(MASKING, {"masking": ""}).status_code == 403
    assert MASKING not in text(log_in("operator").get("/admin/databases/database/shop/change/"))


@pytest.fixture
def backup(settings: Any, shop: Database, disk: Destination) -> Backup:
    settings.BACKUPSITE_FOUR_EYES = True
    return make_backup(shop, destination=disk)


@pytest.fixture
def second(db: None) -> Client:
    user = User.objects.create_user("second", is_staff=True)
    user.groups.set([Group.objects.get_or_create(name="admin")[0]])
    browser = Client()
    browser.force_login(user)
    return browser


def url(approval: Approval, name: str = "change") -> str:
    return f"/admin/backups/approval/{approval.pk}/{name}/"


def test_a_restore_over_something_waits_for_a_second_person(log_in: LogIn, backup: Backup, second: Client) -> None:
    form = {"target": "shop", "drop_existing": "on", "confirm": "shop"}
    first = log_in("operator")
    answer = first.post(f"/admin/backups/backup/{backup.pk}/restore/", form)
    approval = Approval.objects.get()
    assert answer.headers["Location"] == url(approval) and not Restore.objects.exists()
    own = text(first.get(url(approval)))
    assert "somebody else has to decide" in own and "Approve and do it" not in own
    first.post(url(approval, "approve"))
    assert not Restore.objects.exists()
    page = text(second.get(url(approval)))
    assert "emptied first" in page and "Approve and do it" in page
    assert second.get(url(approval, "approve")).status_code == 405
    second.post(url(approval, "approve"), {"note": "seen"})
    assert Restore.objects.get().pk in text(second.get(url(approval)))


@pytest.mark.parametrize("what", ["backup", "database"])
def test_a_deletion_waits_for_a_second_person(what: str, log_in: LogIn, backup: Backup, second: Client) -> None:
    page = f"/admin/backups/backup/{backup.pk}" if what == "backup" else "/admin/databases/database/shop"
    log_in("admin").post(f"{page}/delete/", {"post": "yes"})
    backup.refresh_from_db()
    assert backup.status == Status.COMPLETED and Database.objects.exists()
    approval = Approval.objects.get()
    assert approval.action == f"delete_{what}"
    second.post(url(approval, "refuse"))
    approval.refresh_from_db()
    assert approval.state == "refused" and Database.objects.exists()


def test_no_list_has_an_action_that_deletes_many(log_in: LogIn, backup: Backup) -> None:
    for address in ("backups/backup", "databases/database", "backups/approval"):
        data = {"action": "delete_selected", "_selected_action": [backup.pk, "shop"], "post": "yes"}
        log_in("admin").post(f"/admin/{address}/", data)
    assert Backup.objects.exists() and Database.objects.exists()


def test_the_audit_trail_is_only_read(log_in: LogIn, backup: Backup) -> None:
    log_in("admin").post(f"/admin/backups/backup/{backup.pk}/delete/", {"post": "yes"})
    approval = Approval.objects.get()
    browser = log_in("admin")
    assert browser.get("/admin/backups/approval/add/").status_code == 403
    assert browser.post(url(approval, "delete"), {"post": "yes"}).status_code == 403
    assert browser.post(url(approval), {"state": "approved"}).status_code == 405
    assert Approval.objects.get().state == "waiting"


def test_what_waits_is_counted_beside_the_pages(log_in: LogIn, backup: Backup) -> None:
    browser = log_in("admin")
    before = text(browser.get("/admin/"))
    assert "/admin/backups/approval/" in before
    browser.post(f"/admin/backups/backup/{backup.pk}/delete/", {"post": "yes"})
    listed = text(browser.get("/admin/backups/approval/"))
    assert "Delete bkp_" in listed or f"Delete {backup.pk}" in listed


def test_without_the_setting_there_is_no_such_page_in_the_navigation(log_in: LogIn, shop: Database) -> None:
    assert "/admin/backups/approval/" not in text(log_in("admin").get("/admin/"))
