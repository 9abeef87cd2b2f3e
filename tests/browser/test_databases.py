"""Databases in a real browser: a connection string pasted, tried, saved, backed up twice, and seen on list and page."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from demo.site import Site
from tests.browser.looks import LOOKS, faults_of, look, too_wide
from tests.live import until
from tests.servers.postgres import PostgresServer

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

PATIENCE = 90_000  # milliseconds, on a machine that has other things to do
LIST = "/admin/databases/database/"


@pytest.fixture
def source(postgres18: PostgresServer, fresh_database: Callable[[PostgresServer], str]) -> str:
    """A connection string as a console would give it, of a user whose password needs percent signs."""
    name = fresh_database(postgres18)
    postgres18.psql("CREATE TABLE orders AS SELECT n AS id FROM generate_series(1, 3000) n", name)
    password = postgres18.password.replace("%", "%25").replace("/", "%2F").replace("@", "%40")
    return f"postgresql://{postgres18.user}:{password}@{postgres18.host}:{postgres18.port}/{name}?sslmode=prefer&x=1"


def test_from_a_pasted_string_to_a_line_of_sizes(
    page: Page, site: Site, source: str, postgres18: PostgresServer
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
    page.goto(f"{site.url}{LIST}add/?engine=postgres")
    page.fill("[name=connection_string]", source)
    expect(page.locator("[data-said]")).to_contain_text("Left out, as nothing here takes it: x.", timeout=PATIENCE)
    expect(page.locator("[name=host]")).to_have_value(postgres18.host)
    expect(page.locator("[name=port]")).to_have_value(str(postgres18.port))
    expect(page.locator("[name=password]")).to_have_value(postgres18.password)
    expect(page.locator("[name=connection_string]")).to_have_value("")
    page.fill("[name=name]", "Pasted")
    page.fill("[name=id]", "pasted")

    page.click("text=Check connection")
    expect(page.locator("#check-report")).to_contain_text("Reachable", timeout=PATIENCE)
    assert not site.login().get("/api/databases?search=pasted")["count"]  # it was only tried

    page.select_option("[name=schedule]", "own")
    page.fill("[name=times]", "15 2 * * 1")
    expect(page.locator(".bks-next-five span")).to_have_count(5, timeout=PATIENCE)
    expect(page.locator(".bks-preview strong").first).to_contain_text("02:15")
    page.click("button:has-text('Save')")
    expect(page).to_have_url(re.compile(r"/pasted/change/$"), timeout=PATIENCE)
    assert postgres18.password
    assert not any(postgres18.password in request for request in asked)

    for _ in range(2):
        page.goto(f"{site.url}{LIST}")
        page.check("input.action-select[value=pasted]")
        page.select_option("select[name=action]", "back_up_all")
        page.click("button:has-text('Run')")
        expect(page.locator("h1").last).to_contain_text("Back up 1 Database now?")
        page.click("button:has-text('Back up now')")
        expect(page.get_by_text("1 backup was asked for.")).to_be_visible(timeout=PATIENCE)
        client = site.login()
        until(lambda c=client: c.get("/api/backups?status=pending")["count"] == 0, seconds=60)  # type: ignore[misc]
        until(lambda c=client: c.get("/api/backups?status=in_progress")["count"] == 0, seconds=60)  # type: ignore[misc]
    page.goto(f"{site.url}{LIST}")
    row = page.locator("#result_list tr", has_text="Pasted")
    expect(row.locator(".bks-trend svg.bks-spark")).to_be_visible()
    expect(row.locator(".field-protection .bks-tone-good")).to_contain_text("protected")

    page.goto(f"{site.url}{LIST}pasted/edit/")
    page.fill("[name=max_backups]", "1")
    expect(page.locator(".bks-preview", has_text="1 backup would go")).to_be_visible(timeout=PATIENCE)


def test_destinations_are_put_in_order(page: Page, site: Site, source: str) -> None:
    client = site.login()
    for name in ("near", "far"):
        values = {"id": name, "name": name, "kind": "local", "path": str(site.data / name)}
        client.post("/api/destinations", values)
    body = {"id": "placed", "name": "Placed", "engine": "postgres", "host": "h", "username": "u", "database_name": "d"}
    client.post("/api/databases", {**body, "schedule": None})
    page.goto(f"{site.url}{LIST}placed/edit/")
    rows = page.locator(".bks-dest")
    expect(rows).to_have_count(1)
    rows.nth(0).locator("select").select_option("near")
    expect(rows).to_have_count(2)
    rows.nth(1).locator("select").select_option("far")
    rows.nth(1).locator("input").fill("30")
    rows.nth(1).get_by_label("Move up").focus()
    page.keyboard.press("Enter")
    page.click("button:has-text('Save')")
    expect(page).to_have_url(re.compile(r"/placed/change/$"), timeout=PATIENCE)
    placed = client.get("/api/databases/placed")["placements"]
    assert placed == [
        {"destination": "far", "retention_days": 30},
        {"destination": "near", "retention_days": None},
    ]


@pytest.mark.parametrize(("theme", "width"), LOOKS)
def test_every_page_can_be_read_light_and_wide_dark_and_narrow(
    chromium: Browser, site: Site, state: Any, theme: str, width: int
) -> None:
    client = site.login()
    body = {"id": "looked", "name": "Looked at", "engine": "postgres", "host": "h", "username": "u"}
    if client.get("/api/databases?search=looked")["count"] == 0:
        client.post("/api/databases", {**body, "database_name": "d", "schedule": "0 3 * * *"})
    tabs = [f"{LIST}looked/{tab}/" for tab in ("change", "backups", "drills", "schedule", "changes", "edit", "clone")]
    with look(chromium, theme=theme, width=width, state=state) as window:
        window.set_default_timeout(PATIENCE)
        found = {}
        for address in (LIST, f"{LIST}add/", f"{LIST}add/?engine=s3", *tabs):
            window.goto(site.url + address, wait_until="networkidle")  # previews that are left early complain
            found[address] = [*faults_of(window), *(["scrolls sideways"] if too_wide(window) else [])]
    assert {address: faults for address, faults in found.items() if faults} == {}
