"""The kit is taken by an admin who knows the password, and the first page asks for it until then."""

from collections.abc import Callable

import pytest
from django.test import Client

from backups.models import Destination, KitDownload
from backupsite.management.checks import OK, WARN, recovery
from notifications.models import Event
from tests.backupsite.admin.conftest import PASSWORD

LogIn = Callable[[str], Client]
LIST = "/admin/backups/kitdownload/"
TAKE = f"{LIST}add/"
WANTED = "no recovery kit was taken"


def test_an_admin_takes_it_with_the_password_and_the_first_page_asks_no_more(log_in: LogIn, disk: Destination) -> None:
    browser = log_in("admin")
    assert WANTED in browser.get("/admin/").content.decode()
    assert next(state for state, _, _ in recovery()) == WARN
    assert browser.get(TAKE).status_code == 200
    kit = browser.post(TAKE, {"password": PASSWORD})
    assert kit["Content-Disposition"].startswith('attachment; filename="backupsite-recovery-kit-')
    assert "no-store" in kit["Cache-Control"]
    assert b"AGE-SECRET-KEY-1" in kit.content
    assert KitDownload.objects.get().by_name == "admin"
    assert WANTED not in browser.get("/admin/").content.decode()
    assert next(state for state, _, _ in recovery()) == OK
    page = browser.get(LIST).content.decode()
    assert KitDownload.objects.get().fingerprint[:12] in page
    assert "AGE-SECRET-KEY" not in page


def test_a_wrong_password_gives_nothing_and_guessing_is_held_off(log_in: LogIn, disk: Destination) -> None:
    browser = log_in("admin")
    for _ in range(10):
        answer = browser.post(TAKE, {"password": "guess"})
        assert "This is not your password" in answer.content.decode()
    assert b"AGE-SECRET-KEY" not in browser.post(TAKE, {"password": PASSWORD}).content
    assert not KitDownload.objects.exists()
    assert not Event.objects.filter(kind="kit.downloaded").exists()


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_nobody_else_takes_or_sees_it(log_in: LogIn, disk: Destination, role: str) -> None:
    browser = log_in(role)
    assert browser.post(TAKE, {"password": PASSWORD}).status_code == 403
    assert browser.get(LIST).status_code == 403
    assert LIST not in browser.get("/admin/").content.decode()
    assert not KitDownload.objects.exists()


def test_who_took_it_stays_written(log_in: LogIn, disk: Destination) -> None:
    browser = log_in("admin")
    browser.post(TAKE, {"password": PASSWORD})
    pk = KitDownload.objects.get().pk
    assert browser.post(f"{LIST}{pk}/delete/", {"post": "yes"}).status_code == 403
    assert browser.get(f"{LIST}{pk}/change/").status_code == 302
    assert KitDownload.objects.exists()
