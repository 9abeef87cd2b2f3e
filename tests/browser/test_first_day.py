"""From the first login to the first proven backup, by nothing but what the pages offer."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from demo.site import Site, running_site
from tests.browser.looks import amiss, look
from tests.prepared import QUICK, prepare
from tests.servers.postgres import PostgresServer

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

PATIENCE = 120_000  # milliseconds, on a machine that has other things to do
OWN = "only-i-know-this-one-9"
FOUR = "Four steps to the first proven backup"


@pytest.fixture
def new_site(tmp_path: Path, postgres18: PostgresServer) -> Iterator[Site]:
    """Nobody gave it a password: it made one, and told it once."""
    prepare(tmp_path / "data")
    with running_site(tmp_path, pg_bin_dir=postgres18.bin_dir, env={**QUICK, "BACKUPSITE_ADMIN_PASSWORD": ""}) as site:
        yield site


@pytest.fixture
def first_page(chromium: Browser, new_site: Site) -> Iterator[Page]:
    with look(chromium, theme="light", width=1440) as page:
        page.set_default_timeout(PATIENCE)
        yield page


def steps(page: Page) -> list[bool]:
    """Which of the four are done."""
    return ["bks-done" in (step.get_attribute("class") or "") for step in page.locator(".bks-first > li").all()]


def to_dashboard(page: Page) -> None:
    page.click("nav >> text=Dashboard")
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_from_the_first_login_to_the_first_proven_backup(
    first_page: Page,
    new_site: Site,
    postgres18: PostgresServer,
    fresh_database: Callable[[PostgresServer], str],
    tmp_path: Path,
) -> None:
    page, name = first_page, fresh_database(postgres18)
    postgres18.psql("CREATE TABLE orders AS SELECT n AS id FROM generate_series(1, 500) n", name)

    told = re.search(r"First admin: admin, password (\S+) \(shown only now\)", new_site.log.read_text())
    assert told is not None
    page.goto(new_site.url)
    assert amiss(page) == []
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", told[1])
    page.click("#login-form button[type=submit]")

    expect(page.get_by_role("heading", level=1)).to_have_text("Choose a new password")
    assert amiss(page) == []
    page.goto(new_site.url)
    expect(page.get_by_role("heading", level=1)).to_have_text("Choose a new password")
    page.fill("[name=password]", told[1])
    page.fill("[name=new_password]", OWN)
    page.fill("[name=again]", OWN)
    page.click("text=Change the password")

    expect(page.get_by_role("heading", level=1)).to_have_text(FOUR)
    assert amiss(page) == []
    assert steps(page) == [True, False, False, False]

    page.click(".bks-first >> text=Add another")
    page.click("text=A folder")
    page.fill("[name=name]", "Second disk")
    page.fill("[name=path]", str(tmp_path / "second"))
    page.click("button:has-text('Save')")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Second disk")

    to_dashboard(page)
    page.click(".bks-first >> text=Add a Database")
    page.click("a:has-text('PostgreSQL')")
    login = f"{postgres18.user}:{postgres18.password}@{postgres18.host}:{postgres18.port}"
    page.fill("[name=connection_string]", f"postgresql://{login}/{name}")
    expect(page.locator("[name=host]")).to_have_value(postgres18.host)
    page.fill("[name=name]", "Shop")
    page.click("text=Check connection")
    expect(page.locator("#check-report")).to_contain_text("Reachable", timeout=PATIENCE)
    page.click("button:has-text('Save')")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Shop")

    to_dashboard(page)
    assert steps(page) == [True, True, False, False]
    page.click(".bks-first >> text=Open Databases")
    page.click("#result_list >> text=Shop")
    page.click("text=Back up now")
    expect(page.locator(".bks-head .bks-completed")).to_be_visible(timeout=PATIENCE)

    to_dashboard(page)
    assert steps(page) == [True, True, True, False]
    page.click(".bks-first >> text=Choose a backup")
    page.click("#result_list tbody th a")
    page.click(".bks-actions >> text=Drill")
    page.click("button:has-text('Drill')")
    expect(page.locator(".bks-note-good")).to_contain_text("Proven", timeout=PATIENCE)

    to_dashboard(page)
    expect(page.locator(".bks-first")).to_have_count(0)
    verdict = "The one database is protected. A drill has proven it."
    expect(page.get_by_role("heading", level=1)).to_have_text(verdict)
    assert amiss(page) == []
