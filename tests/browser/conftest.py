"""A site as its users run it, and a browser that is logged in to it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from demo.site import Site, running_site
from tests.browser.site import browser, log_in
from tests.prepared import QUICK, prepare
from tests.servers.postgres import PostgresServer

expect.set_options(timeout=60_000)  # what is expected comes late on a busy machine, and is no less right


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, postgres18: PostgresServer) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    prepare(folder / "data")
    with running_site(folder, pg_bin_dir=postgres18.bin_dir, env=QUICK) as running:
        yield running


@pytest.fixture
def page(site: Site) -> Iterator[Page]:
    """A logged-in page that fails the test when a script breaks or an address of another host is asked for."""
    broken: list[str] = []
    with browser() as chromium:
        opened = chromium.new_page(viewport={"width": 1440, "height": 900})
        opened.set_default_timeout(60_000)
        opened.on("pageerror", lambda error: broken.append(str(error)))
        opened.on("request", lambda asked: broken.append(asked.url) if not asked.url.startswith(site.url) else None)
        log_in(opened, site)
        yield opened
    assert broken == []
