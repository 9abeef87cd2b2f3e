"""A site as its users run it, and a browser that is logged in to it; one of each for all that run here."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from demo.site import Site, running_site
from tests.browser.looks import look
from tests.browser.site import browser, log_in
from tests.prepared import QUICK, prepare
from tests.servers.postgres import PostgresServer
from tests.servers.process import free_port

expect.set_options(timeout=60_000)  # what is expected comes late on a busy machine, and is no less right


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Its loop runs in this very thread, which Django would take for a coroutine's."""
    with pytest.MonkeyPatch.context() as patch, browser() as opened:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        yield opened


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory, postgres18: PostgresServer) -> Iterator[Site]:
    """Tests of several files share it, in any order: each names its own rows, and counts no others."""
    folder, port = tmp_path_factory.mktemp("site"), free_port()
    prepare(folder / "data")
    env = {**QUICK, "BACKUPSITE_PUBLIC_URL": f"http://127.0.0.1:{port}"}
    with running_site(folder, pg_bin_dir=postgres18.bin_dir, port=port, env=env) as running:
        yield running


@pytest.fixture(scope="package")
def state(chromium: Browser, site: Site) -> Any:
    """Cookies of an admin who is logged in."""
    with look(chromium, theme="light", width=1440) as page:
        log_in(page, site)
        return page.context.storage_state()


@pytest.fixture
def page(chromium: Browser, site: Site, state: Any) -> Iterator[Page]:
    """A logged-in page that fails the test when a script breaks or an address of another host is asked for."""
    broken: list[str] = []
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, storage_state=state)
    opened = context.new_page()
    opened.set_default_timeout(60_000)
    opened.on("pageerror", lambda error: broken.append(str(error)))
    opened.on("request", lambda asked: broken.append(asked.url) if not asked.url.startswith(site.url) else None)
    yield opened
    context.close()
    assert broken == []
