"""A real browser, and its way into a running site."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright

from demo.site import Site
from tests.servers.fetch import browser as chromium

# Nothing leaves the machine: no QUIC, no component updates. The sandbox needs rights a container has not.
CHROMIUM_ARGS = ["--no-sandbox", "--disable-quic", "--disable-background-networking"]


@contextmanager
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGS)
        try:
            yield opened
        finally:
            opened.close()


def log_in(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/admin/login/?next=/admin/")
    page.fill("input[name=username]", site.username)
    page.fill("input[name=password]", site.password)
    page.click("#login-form button[type=submit]")
    page.wait_for_url(f"{site.url}/admin/")
