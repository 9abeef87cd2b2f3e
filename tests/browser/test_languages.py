"""The dashboard and a Database in Spanish, in a browser of somebody in Madrid."""

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.api import browser_of, make_backup, make_database, make_destination
from tests.browser.looks import faults_of, too_wide
from tests.browser.site import browser

ZONE = re.compile(r" UTC · .*(CET|CEST|GMT\+[12])")

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.django_db(transaction=True)]


def test_a_reader_in_madrid_reads_spanish_and_may_choose_english(
    live_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # the browser's loop runs in this very thread
    database = make_database(name="Webshop", schedule="30 3 * * *")
    make_destination()
    make_backup(database)
    cookies = browser_of("admin").cookies
    with browser() as chromium:
        context = chromium.new_context(
            locale="es-ES", timezone_id="Europe/Madrid", viewport={"width": 1440, "height": 900}
        )
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
        time = page.locator("time[title]").first
        time.hover()
        expect(time).to_have_attribute("title", ZONE)
        page.evaluate("document.querySelector('input[name=language][value=en]').form.submit()")
        expect(page.locator("html")).to_have_attribute("lang", "en")
        expect(page.get_by_role("button", name="Back up now")).to_be_visible()
        context.close()
    assert broken == []
