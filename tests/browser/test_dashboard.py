"""The first page as it is seen: light and dark, wide and narrow, by keyboard, and with axe's eyes."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from demo.client import Client
from demo.site import Site
from tests.browser.looks import LOOKS, faults_of, look, tab_to, too_wide
from tests.live import until
from tests.servers.postgres import PostgresServer

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]


def _ended(client: Client, pk: str) -> None:
    until(lambda: client.get(f"/api/backups/{pk}")["status"] in ("completed", "failed"), seconds=90)


def test_it_is_readable_for_everybody_and_mutes(
    chromium: Browser,
    site: Site,
    state: Any,
    postgres18: PostgresServer,
    fresh_database: Callable[[PostgresServer], str],
) -> None:
    client = site.login()
    login = {"username": postgres18.user, "password": postgres18.password}
    place = {"engine": "postgres", "host": postgres18.host, "port": postgres18.port, **login}
    for name, dbname in (("kept", fresh_database(postgres18)), ("gone", "there_is_none")):
        client.post("/api/databases", {"id": name, "name": name, "database_name": dbname, **place})
        backup = client.post("/api/backups", {"database_id": name})
        _ended(client, backup["id"])
    for theme, width in LOOKS:
        with look(chromium, theme=theme, width=width, state=state) as page:
            page.goto(f"{site.url}/admin/")
            expect(page.get_by_role("heading", level=1)).to_contain_text("not protected")
            assert page.evaluate("document.documentElement.classList.contains('dark')") == (theme == "dark")
            assert (faults_of(page), too_wide(page)) == ([], False), (theme, width)
    with look(chromium, theme="light", width=1440, state=state) as page:
        page.goto(f"{site.url}/admin/")
        expect(page.get_by_role("heading", name="Failing")).to_be_visible()
        page.locator("li", has=page.get_by_role("link", name="gone", exact=True)).get_by_text("Mute").first.click()
        page.get_by_role("button", name="For 4 hours").click()
        expect(page.get_by_text("gone is muted")).to_be_visible()
        expect(page.get_by_text("muted, ends in").first).to_be_visible()


def test_everything_is_found_from_the_keyboard(chromium: Browser, site: Site, state: Any) -> None:
    with look(chromium, theme="dark", width=1440, state=state) as page:
        page.goto(f"{site.url}/admin/")
        page.keyboard.press("Control+k")
        field = page.get_by_role("searchbox")
        expect(field).to_be_focused()
        field.press_sequentially("disk", delay=20)
        result = page.locator("#command-results-list a", has_text="Local disk")
        expect(result).to_be_visible()
        assert faults_of(page) == []
        result.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_contain_text("Local disk")


def test_the_menu_of_ones_name_is_opened_from_the_keyboard(chromium: Browser, site: Site, state: Any) -> None:
    with look(chromium, theme="dark", width=1440, state=state) as page:
        page.goto(f"{site.url}/admin/")
        account = page.get_by_role("link", name="My account")
        tab_to(page, page.locator(".bks-user"))
        page.keyboard.press("Enter")
        expect(account).to_be_visible()
        tab_to(page, page.get_by_role("button", name="Light"), within=5)
        assert faults_of(page) == []
        page.keyboard.press("Enter")
        expect(page.locator("html")).not_to_have_class(re.compile("dark"))
        tab_to(page, account, within=12)
        page.keyboard.press("Escape")
        expect(account).to_be_hidden()
        tab_to(page, page.locator(".bks-user"))
        page.keyboard.press("Space")
        expect(account).to_be_visible()
        tab_to(page, account, within=15)
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{site.url}/admin/account/")


def test_the_mark_is_there_and_a_page_that_is_not_says_so(chromium: Browser, site: Site, state: Any) -> None:
    with look(chromium, theme="light", width=390) as page:
        assert page.goto(f"{site.url}/favicon.ico").status == 200  # type: ignore[union-attr]
        page.goto(f"{site.url}/admin/login/")
        assert faults_of(page) == []
    context = chromium.new_context(storage_state=state, color_scheme="dark")
    page = context.new_page()  # the browser itself complains of the 404
    page.goto(f"{site.url}/admin/nothing/here/")
    expect(page.get_by_role("heading", name="Nothing here")).to_be_visible()
    assert faults_of(page) == []
    context.close()
