"""The dashboard and a Database in Spanish, in a browser of somebody in Madrid."""

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.api import browser_of, make_backup, make_database, make_destination
from tests.browser.looks import faults_of, too_wide

MADRID = re.compile(r" \d\d:\d\d UTC\+[12]$")
TIMES = "time[data-as]"

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.django_db(transaction=True)]


def test_a_reader_in_madrid_reads_spanish_and_may_choose_english(chromium: Browser, live_server: Any) -> None:
    database = make_database(name="Webshop", schedule="30 3 * * *")
    make_destination()
    make_backup(database)
    cookies = browser_of("admin").cookies
    context = chromium.new_context(locale="es-ES", timezone_id="Europe/Madrid", viewport={"width": 1440, "height": 900})
    context.add_cookies(
        [{"name": name, "value": morsel.value, "url": live_server.url} for name, morsel in cookies.items()]
    )
    page = context.new_page()
    broken: list[str] = []
    page.on("pageerror", lambda error: broken.append(str(error)))
    page.goto(f"{live_server.url}/admin/")
    expect(page.locator("html")).to_have_attribute("lang", "es")
    expect(page.get_by_role("heading", name="De cero a una copia de seguridad")).to_be_visible()
    assert faults_of(page) == []
    for width in (1440, 390):  # Spanish is longer
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(f"{live_server.url}/admin/databases/database/{database.pk}/change/")
        expect(page.get_by_role("button", name="Copiar ahora")).to_be_visible()
        assert not too_wide(page), width
    page.set_viewport_size({"width": 1440, "height": 900})
    expect(page.locator("time[data-as=zoned]").first).to_have_text(MADRID)
    expect(page.locator("[data-zone]").first).to_have_text("Europe/Madrid")
    told = page.locator(TIMES).all_text_contents()
    context.clear_cookies(name="backupsite_timezone")
    first: Any = page.reload()  # as on the first page of all: the site cannot know, and the script does
    assert " UTC</time>" in first.text()
    assert page.locator(TIMES).all_text_contents() == told
    expect(page.locator("[data-zone]").first).to_have_text("Europe/Madrid")
    page.evaluate("document.querySelector('input[name=language][value=en]').form.submit()")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.get_by_role("button", name="Back up now")).to_be_visible()
    context.close()
    assert broken == []
