"""Every page of the menu, of each row behind it and of one's own account: light and wide, dark and narrow, by axe."""

from typing import Any

import pytest
from django.test import RequestFactory
from playwright.sync_api import Browser

from backups.models import Drill
from backupsite.admin.navigation import navigation
from tests.api import browser_of, user_with
from tests.browser.looks import LOOKS, faults_of, look, too_wide
from tests.everything import address_of, make_everything

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.django_db(transaction=True)]

OWN = ("/admin/account/", "/admin/account/password/", "/admin/account/second-factor/")


@pytest.fixture
def pages(settings: Any) -> list[str]:
    """Of one row of everything."""
    settings.BACKUPSITE_FOUR_EYES = True
    rows = make_everything()
    reports = [f"/admin/backups/drill/{row.pk}/report/" for row in rows if isinstance(row, Drill)]
    return [*(address_of(row) for row in rows), *reports, *OWN]


def menu() -> list[str]:
    """The addresses of the navigation, as an admin has it."""
    request = RequestFactory().get("/admin/")
    request.user = user_with("admin", username="admin")
    return [str(item["link"]) for group in navigation(request) for item in group["items"]]


@pytest.mark.parametrize(("theme", "width"), LOOKS)
def test_every_page_is_whole(chromium: Browser, theme: str, width: int, live_server: Any, pages: list[str]) -> None:
    """No script breaks, nothing scrolls sideways, and axe finds nothing serious."""
    found: list[str] = []
    cookies = browser_of("admin").cookies
    with look(chromium, theme=theme, width=width) as page:
        page.context.add_cookies(
            [{"name": name, "value": morsel.value, "url": live_server.url} for name, morsel in cookies.items()]
        )
        for address in [*menu(), *pages]:
            answer = page.goto(f"{live_server.url}{address}")
            assert answer is not None and answer.status == 200, address
            assert "/login/" not in page.url, address
            found += [f"{address}: {fault}" for fault in faults_of(page)]
            found += [f"{address} scrolls sideways"] if too_wide(page) else []
    assert found == []
