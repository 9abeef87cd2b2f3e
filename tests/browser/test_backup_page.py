"""The page of a backup in a real browser: watched while it runs, cancelled, restored from, opened by hand, packed."""

import re
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from os import environ
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from demo.site import Site
from tests.browser.looks import amiss, tab_to
from tests.gate import gate
from tests.servers.postgres import PostgresServer

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(400)]

MIB = 1 << 20
PATIENCE = 90_000  # milliseconds, on a machine that has other things to do
ROWS = "CREATE TABLE orders AS SELECT n AS id, md5(n::text) || md5((n + 1)::text) AS code FROM generate_series(1, {}) n"
SUM = "SELECT count(*), md5(string_agg(code, '' ORDER BY id)) FROM orders"


def add(page: Page, site: Site, server: PostgresServer, dbname: str, name: str, *, port: int | None = None) -> None:
    body = {
        "id": name.lower(),
        "name": name,
        "engine": "postgres",
        "host": server.host,
        "port": port or server.port,
        "username": server.user,
        "password": server.password,
        "database_name": dbname,
    }
    site.login().post("/api/databases", {**body, "schedule": None, "package": name == "Shop"})
    page.goto(f"{site.url}/admin/databases/database/{name.lower()}/change/")


def back_up(page: Page) -> None:
    page.click("text=Back up now")
    expect(page).to_have_url(re.compile(r"/admin/backups/backup/bkp_"))


def press(page: Page, name: str) -> None:
    """A button that is reached by keyboard."""
    tab_to(page, page.get_by_role("button", name=name, exact=True))
    page.keyboard.press("Enter")


def ended(page: Page, status: str = "completed") -> None:
    expect(page.locator(f".bks-head .bks-{status}")).to_be_visible(timeout=PATIENCE)


def shown_bytes(text: str) -> float:
    number, unit = text.split()[:2]
    return float(number.replace(",", "")) * 1024.0 ** ("B", "KiB", "MiB", "GiB").index(unit)


def moved(page: Page) -> str:
    return page.locator("#job-live .bks-gauges dd").first.inner_text()


def test_progress_moves_nothing_else_does_and_cancel_stops_it(
    page: Page, site: Site, postgres18: PostgresServer, fresh_database: Callable[[PostgresServer], str]
) -> None:
    source = fresh_database(postgres18)
    postgres18.psql(ROWS.format(150_000), source)
    with gate(postgres18.host, postgres18.port) as slow:
        slow.shut(down=2 * MIB)
        add(page, site, postgres18, source, "Slow", port=slow.port)
        back_up(page)
        first = page.locator("#job-live .bks-gauges dd").first
        expect(first).to_contain_text("MiB", timeout=PATIENCE)
        expect(page.locator("#job-live .bks-step-now")).to_contain_text("Dump and store")
        page.evaluate("document.querySelector('h1').dataset.mark = 'the same'")
        lines = page.locator("#job-log li").count()
        before = moved(page)
        slow.down = 6 * MIB
        expect(first).not_to_have_text(before, timeout=PATIENCE)
        assert shown_bytes(first.inner_text()) > shown_bytes(before)
        assert page.locator("h1[data-mark='the same']").count() == 1, "only the figures are sent"
        assert page.locator("#job-log li").count() >= lines
        page.click(".bks-actions >> text=Cancel")
        ended(page, "cancelled")
        expect(page.locator("#job-live .bks-step-stopped")).to_contain_text("Dump and store")
        slow.open()


@pytest.fixture
def shop(
    page: Page, site: Site, postgres18: PostgresServer, fresh_database: Callable[[PostgresServer], str]
) -> tuple[str, str]:
    """A completed backup's page and the source; the page is open."""
    source = fresh_database(postgres18)
    postgres18.psql(ROWS.format(5000), source)
    known = site.login().get("/api/databases?search=shop")["results"]
    if known:
        site.login().call("PATCH", "/api/databases/shop", {"database_name": source})
        page.goto(f"{site.url}/admin/databases/database/shop/change/")
    else:
        add(page, site, postgres18, source, "Shop")
    back_up(page)
    ended(page)  # by polling, without a reload
    return page.url, source


def test_the_way_through_a_restore(
    page: Page,
    site: Site,
    shop: tuple[str, str],
    postgres18: PostgresServer,
    fresh_database: Callable[[PostgresServer], str],
) -> None:
    backup, source = shop
    expect(page.locator("section", has_text="Timeline").locator(".bks-step-done")).to_have_count(3)
    target = fresh_database(postgres18)
    postgres18.psql("CREATE TABLE orders AS SELECT 1 AS id; CREATE TABLE own AS SELECT 2 AS id", target)
    add(page, site, postgres18, target, "Copy")
    page.goto(backup)
    assert amiss(page) == []
    page.click(".bks-actions >> text=Restore")
    assert amiss(page) == []
    tab_to(page, page.locator("[name=target]").first)  # from here on by keyboard
    while not page.is_checked("input[value=copy]"):
        page.keyboard.press("ArrowDown")
    press(page, "Next")
    expect(page.locator(".bks-names")).to_contain_text("public.orders")
    assert amiss(page) == []
    press(page, "Next")
    expect(page.locator("#preview")).to_contain_text("The restore would be refused", timeout=PATIENCE)
    expect(page.locator("#preview")).to_contain_text("2 tables are there already.")
    press(page, "Back")
    tab_to(page, page.locator("[name=drop_existing]"))
    page.keyboard.press("Space")
    press(page, "Next")
    expect(page.locator("#preview tr", has_text="public.own")).to_contain_text("removed", timeout=PATIENCE)
    expect(page.locator("#preview tr", has_text="public.orders")).to_contain_text("replaced")
    expect(page.locator("#preview")).to_contain_text("1 table is removed: the backup does not hold it.")
    assert amiss(page) == []
    assert "?" not in page.url
    for typed in ("cop", "copy"):
        tab_to(page, page.locator("[name=confirm]"))
        page.keyboard.press("Control+a")
        page.keyboard.type(typed)
        press(page, "Restore")
        if typed == "cop":
            expect(page.get_by_role("alert").first).to_contain_text("Nothing was started")
    expect(page).to_have_url(re.compile(r"/admin/backups/restore/"))
    ended(page)
    assert postgres18.psql(SUM, target) == postgres18.psql(SUM, source)
    expect(page.locator(".bks-table tr", has_text="public.orders")).to_contain_text("5,000")


def test_the_copied_commands_and_the_package_open_with_stock_tools(
    page: Page,
    site: Site,
    shop: tuple[str, str],
    postgres18: PostgresServer,
    fresh_database: Callable[[PostgresServer], str],
    tmp_path: Path,
) -> None:
    target = fresh_database(postgres18)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click("[data-copy]")
    expect(page.locator("[data-copy]")).to_have_text("Copied")
    commands = str(page.evaluate("navigator.clipboard.readText()")).replace("TARGET", target)
    path = f"{postgres18.bin_dir}:{environ['PATH']}"
    env = {**postgres18.environment(), "PATH": path}
    subprocess.run(["bash", "-ec", commands], check=True, cwd=tmp_path, env=env, capture_output=True)
    assert postgres18.psql(SUM, target) == postgres18.psql(SUM, shop[1])

    page.goto(f"{site.url}/admin/packages/package/add/")
    page.click("button:has-text('Make the package')")
    ended(page)
    with page.expect_download() as download:
        page.click("text=Download")
    download.value.save_as(tmp_path / download.value.suggested_filename)
    archive = tmp_path / download.value.suggested_filename
    tested = subprocess.run(["unzip", "-t", str(archive)], check=True, capture_output=True, text=True).stdout
    assert "No errors detected" in tested and "index.json" in tested and "RESTORE.txt" in tested
    commands = page.locator(".bks-code pre").inner_text().replace("less ", "cat ")
    said = subprocess.run(["bash", "-ec", commands], check=True, cwd=tmp_path, capture_output=True, text=True)
    assert "inflating" in said.stdout or "extracting" in said.stdout
    assert "pg_restore" in said.stdout and list((tmp_path / "shop").glob("*.dump.zst"))


def test_a_viewer_reads_and_does_nothing(page: Page, site: Site, shop: tuple[str, str]) -> None:
    with closing(sqlite3.connect(site.data / "backupsite.sqlite3", timeout=30)) as rows:
        copied = "SELECT password, '', '', '', 0, 1, 1, date_joined FROM auth_user WHERE username = 'admin'"
        names = "password, first_name, last_name, email, is_superuser, is_staff, is_active, date_joined, username"
        rows.execute(f"INSERT INTO auth_user ({names}) {copied.replace(' FROM', ', ? FROM')}", ["reader"])
        group = "SELECT id FROM auth_group WHERE name = 'viewer'"
        user = "SELECT id FROM auth_user WHERE username = 'reader'"
        rows.execute(f"INSERT INTO auth_user_groups (user_id, group_id) VALUES (({user}), ({group}))")
        rows.commit()
    assert page.context.browser is not None
    reader = page.context.browser.new_context().new_page()
    reader.set_default_timeout(PATIENCE)
    reader.goto(f"{site.url}/admin/login/?next=/admin/")
    reader.fill("input[name=username]", "reader")
    reader.fill("input[name=password]", site.password)
    reader.click("#login-form button[type=submit]")
    reader.wait_for_url(f"{site.url}/admin/")
    reader.goto(shop[0])
    expect(reader.locator("h1", has_text="Shop")).to_be_visible()
    expect(reader.locator("#manifest")).to_contain_text("public.orders")
    expect(reader.locator(".bks form[method=post]")).to_have_count(0)
    expect(reader.locator(".bks-head .bks-actions a")).to_have_count(0)
    answer = reader.goto(shop[0].replace("/change/", "/restore/"))
    assert answer is not None and answer.status == 403
