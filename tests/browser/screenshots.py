"""`python -m tests.browser.screenshots [FOLDER]`: pictures of the main pages of a site with real backups.

Light and dark, and some on a phone, into docs/screenshots unless a folder is given.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from demo.client import Client
from demo.site import REPOSITORY, Site, running_site
from tests.browser.site import browser, log_in
from tests.live import until
from tests.servers.postgres import PostgresServer, start_postgres
from tests.servers.s3 import S3Server, start_s3

SIZES = {"desktop": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}
ON_PHONE = ("overview", "database", "backup")
SHOP = """
CREATE TABLE customers AS SELECT n AS id, 'customer ' || n AS name FROM generate_series(1, 40000) n;
CREATE TABLE orders AS SELECT n AS id, n % 40000 AS customer, now() - n * interval '1 min' AS at, md5(n::text) AS code
FROM generate_series(1, 400000) n;
CREATE TABLE products AS SELECT n AS id, 'product ' || n AS name FROM generate_series(1, 1200) n;
"""


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as room,
        tempfile.TemporaryDirectory() as home,
        start_postgres(18, Path(room) / "postgres") as server,
        start_s3(Path(room) / "s3") as store,
        running_site(Path(home), pg_bin_dir=server.bin_dir) as site,
        browser() as chromium,
    ):
        page = _page(chromium, "light", "desktop")
        log_in(page, site)
        addresses = _prepare(page, site, server) | _prepare_more(page, site, store)
        state = page.context.storage_state()
        for theme, size in (("light", "desktop"), ("dark", "desktop"), ("light", "phone")):
            page = _page(chromium, theme, size, state=state)
            for name, address in addresses.items():
                if size == "phone" and name not in ON_PHONE:
                    continue
                page.goto(site.url + address)
                page.wait_for_timeout(300)  # fonts and icons
                page.screenshot(path=folder / f"{name}-{theme if size == 'desktop' else size}.png")


def _page(chromium: Browser, theme: str, size: str, state: object = None) -> Page:
    context = chromium.new_context(viewport=SIZES[size], storage_state=state, color_scheme=theme)  # type: ignore[arg-type]
    context.add_init_script(f"localStorage.setItem('_x_adminTheme', JSON.stringify('{theme}'))")
    return context.new_page()


def _prepare(page: Page, site: Site, server: PostgresServer) -> dict[str, str]:
    """Databases, a schedule, good backups and a failed one, made by hand as an operator would."""
    for name in ("shop", "billing"):
        server.create_database(name)
        server.psql(SHOP, name)
        _add(page, site, server, name)
        _back_up(page, lambda: expect(page.locator(".bks-head .bks-completed")).to_be_visible(timeout=60_000))
    _add(page, site, server, "archive")  # a database that does not exist: its backup fails and says why
    _back_up(page, lambda: expect(page.locator(".bks-head .bks-failed")).to_be_visible(timeout=60_000))
    failed = page.url.removeprefix(site.url)
    page.goto(f"{site.url}/admin/databases/database/shop/change/")
    _back_up(page, lambda: expect(page.locator(".bks-head .bks-completed")).to_be_visible(timeout=60_000))
    return {
        "overview": "/admin/",
        "databases": "/admin/databases/database/",
        "database": "/admin/databases/database/shop/change/",
        "backups": "/admin/backups/backup/",
        "backup": page.url.removeprefix(site.url),
        "backup-failed": failed,
        "restore": page.url.removeprefix(site.url).replace("/change/", "/restore/"),
    }


def _prepare_more(page: Page, site: Site, store: S3Server) -> dict[str, str]:
    """A bucket with a chain, a policy, and a package; over the API, as a program would."""
    client, api = site.login(), store.client()
    bucket = store.make_bucket("images")
    options = {"bucket": bucket, "endpoint_url": store.endpoint_url, "access_key": store.access_key}
    options |= {"secret_key": store.secret_key, "addressing": "path", "region": store.region}
    connection = {"id": "images", "name": "images", "engine": "s3", "options": options}
    client.post(
        "/api/databases", {**connection, "scheduled_type": "incremental", "package": True, "schedule": "inherit"}
    )
    client.call("PATCH", "/api/policy", {"schedule": ["0 2 * * *"], "retention_days": 30, "keep_monthly": 12})
    client.call("PATCH", "/api/databases/shop", {"package": True})
    for number in range(3):
        for name in range(20):
            api.put_object(Bucket=bucket, Key=f"{2024 + number}/photo-{name}.jpg", Body=bytes(30_000 + name))
        backup = client.post("/api/backups", {"database_id": "images", "type": "incremental"})
        _ended(client, f"/api/backups/{backup['id']}")
    package = client.post("/api/packages/create")
    _ended(client, f"/api/packages/{package['id']}")
    return {
        "bucket": "/admin/databases/database/images/change/",
        "bucket-form": "/admin/databases/database/images/edit/",
        "incremental": f"/admin/backups/backup/{backup['id']}/change/",
        "packages": "/admin/packages/package/",
        "package": f"/admin/packages/package/{package['id']}/change/",
        "policy": "/admin/databases/policy/1/change/",
        "engines": "/admin/databases/database/add/",
    }


def _ended(client: Client, path: str) -> None:
    until(lambda: client.get(path)["status"] in ("completed", "failed"), seconds=60)


def _add(page: Page, site: Site, server: PostgresServer, name: str) -> None:
    page.goto(f"{site.url}/admin/databases/database/add/?engine=postgres")
    fields = {
        "name": name.capitalize(),
        "id": name,
        "host": server.host,
        "port": str(server.port),
        "database_name": name,
        "username": server.user,
        "password": server.password,
        "timezone": "Europe/Berlin",
    }
    for field, value in fields.items():
        page.fill(f"[name='{field}']", value)
    page.select_option("[name=schedule]", "own")
    page.fill("[name=times]", "30 3 * * *")
    page.click("text=Save")


def _back_up(page: Page, ended: Callable[[], None]) -> None:
    page.click("text=Back up now")
    ended()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / "docs" / "screenshots")
