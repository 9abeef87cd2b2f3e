"""A PostgreSQL database added, backed up, downloaded and read again by hand, in a real browser."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from demo.site import Site
from tests.servers.postgres import PostgresServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CANARY = "canary-5d21"


def _add_database(page: Page, site: Site, server: PostgresServer, dbname: str, name: str) -> None:
    page.goto(f"{site.url}/admin/databases/database/add/?engine=postgres")
    fields = {
        "name": name,
        "id": name.lower(),
        "host": server.host,
        "port": str(server.port),
        "database_name": dbname,
        "username": server.user,
        "password": server.password,
    }
    for field, value in fields.items():
        page.fill(f"[name='{field}']", value)
    page.click("text=Save")
    expect(page.locator("h1", has_text=name).first).to_be_visible()


def test_added_checked_backed_up_downloaded_and_verified(
    page: Page,
    site: Site,
    postgres18: PostgresServer,
    fresh_database: Callable[[PostgresServer], str],
    tmp_path: Path,
) -> None:
    source = fresh_database(postgres18)
    postgres18.psql(
        "CREATE TABLE orders AS SELECT n AS id, md5(n::text) AS code FROM generate_series(1, 5000) n", source
    )

    _add_database(page, site, postgres18, source, "Out")
    page.click("text=Check connection")
    expect(page.locator("#check-report")).to_contain_text("Reachable")

    page.click("text=Back up now")
    expect(page).to_have_url(re.compile(r"/admin/backups/backup/bkp_"))
    expect(page.locator(".bks-head .bks-completed")).to_be_visible(timeout=120_000)  # by polling, without a reload
    expect(page.get_by_text("public.orders")).to_be_visible()
    expect(page.locator(".bks-table td.bks-num").first).to_have_text("5,000")
    expect(page.locator(".bks-log")).to_contain_text("read back and compared")

    with page.expect_download() as download:
        page.click("text=Download")
    download.value.save_as(tmp_path / "artefact")
    assert download.value.suggested_filename.endswith(".dump.zst")
    assert (tmp_path / "artefact").read_bytes()[:4] == b"\x28\xb5\x2f\xfd"

    page.click(".bks-actions >> text=Verify")
    page.click("button:has-text('Verify')")
    expect(page).to_have_url(re.compile(r"/admin/backups/verification/"))
    expect(page.get_by_text("intact")).to_be_visible(timeout=120_000)


def test_a_wrong_password_says_what_to_do(
    page: Page, site: Site, postgres18: PostgresServer, fresh_database: Callable[[PostgresServer], str]
) -> None:
    _add_database(page, site, postgres18, fresh_database(postgres18), "Locked")
    page.click("text=Edit")
    page.fill("[name=password]", CANARY)
    page.click("text=Save")
    page.click("text=Check connection")
    expect(page.locator("#check-report .bks-note-bad")).to_be_visible()
    page.click("text=Back up now")
    expect(page.locator(".bks-head .bks-failed")).to_be_visible(timeout=120_000)
    expect(page.get_by_role("alert")).to_contain_text("password")
    assert CANARY not in page.content()
    assert CANARY not in site.log.read_text()


def test_pages_fit_a_phone(page: Page, site: Site) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    for address in (
        "",
        "databases/database/",
        "databases/database/add/",
        "databases/database/add/?engine=postgres",
        "databases/database/add/?engine=s3",
        "backups/backup/",
        "backups/destination/local/change/",
        "packages/package/",
        "packages/package/add/",
        "packages/packagepolicy/1/change/",
    ):
        page.goto(f"{site.url}/admin/{address}")
        assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0, address
