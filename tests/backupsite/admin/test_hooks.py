"""Hooks in the form of a Database: shown where the deployment allows any, one command a line."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from databases.models import Database
from tests.backupsite.admin.test_engine_forms import as_sent

LogIn = Callable[[str], Client]
EDIT = "/admin/databases/database/shop/edit/"
PAGES = ("", "shop/change/", "shop/history/")


@pytest.fixture(autouse=True)
def allowed(settings: Any) -> None:
    settings.BACKUPSITE_HOOK_PROGRAMS = ["/bin/true"]


def send(browser: Client, **typed: Any) -> Any:
    form = browser.get(EDIT).context["form"]
    return browser.post(EDIT, as_sent(form, **{name.replace("__", "."): text for name, text in typed.items()}))


def test_they_are_typed_one_a_line_and_shown_again_as_they_are_typed(log_in: LogIn, shop: Database) -> None:
    browser = log_in("admin")
    send(browser, hooks__pre="/bin/true 'a b' $(id)\n\n  /bin/true\n", hooks__post="", hooks__timeout_s="5")
    shop.refresh_from_db()
    stored = {"pre": [["/bin/true", "a b", "$(id)"], ["/bin/true"]], "post": [], "timeout_s": 5}
    assert shop.hooks == stored
    page = browser.get(EDIT).content.decode()
    assert "/bin/true &#x27;a b&#x27; &#x27;$(id)&#x27;\n/bin/true</textarea>" in page
    send(browser, name="Renamed")
    shop.refresh_from_db()
    assert (shop.name, shop.hooks) == ("Renamed", stored)


def test_what_cannot_be_read_or_is_not_allowed_is_told_by_line_at_its_field(log_in: LogIn, shop: Database) -> None:
    answer = send(log_in("admin"), hooks__pre="/bin/true\n/bin/true 'open", hooks__post="/bin/true\n/bin/sh -c id")
    assert answer.context["form"].errors["hooks.pre"] == ["Line 2: no closing quotation."]
    answer = send(log_in("admin"), hooks__post="/bin/true\n/bin/sh -c id")
    assert answer.context["form"].errors["hooks.post"] == [
        "Command 2: BACKUPSITE_HOOK_PROGRAMS does not allow /bin/sh."
    ]
    assert '<details class="bks-fold" open>' in answer.content.decode()
    shop.refresh_from_db()
    assert shop.hooks == {}


def test_without_an_allowed_program_there_is_no_such_section(log_in: LogIn, shop: Database, settings: Any) -> None:
    assert "<h2>Hooks</h2>" in log_in("admin").get(EDIT).content.decode()
    settings.BACKUPSITE_HOOK_PROGRAMS = []
    assert "<h2>Hooks</h2>" not in log_in("admin").get(EDIT).content.decode()


def test_hooks_that_are_allowed_no_longer_can_be_removed_and_hold_up_nothing_else(
    log_in: LogIn, shop: Database, settings: Any
) -> None:
    Database.objects.update(hooks={"pre": [["/bin/true"]]})
    settings.BACKUPSITE_HOOK_PROGRAMS = []
    browser = log_in("admin")
    assert send(browser, name="Renamed").status_code == 302
    assert send(browser, hooks__pre="").status_code == 302
    assert Database.objects.values_list("name", "hooks").get() == ("Renamed", {})


@pytest.mark.parametrize("role", ["operator", "viewer"])
def test_only_an_admin_sets_or_sees_them(log_in: LogIn, shop: Database, role: str) -> None:
    Database.objects.update(hooks={"pre": [["/bin/true", "private"]]})
    browser = log_in(role)
    assert browser.get(EDIT).status_code == browser.post(EDIT, {"hooks.pre": ""}).status_code == 403
    pages = [browser.get(f"/admin/databases/database/{page}").content.decode() for page in PAGES]
    assert "private" not in "".join(pages)
    shop.refresh_from_db()
    assert shop.hooks
