"""`python -m tests.browser.screenshots`: pictures of a site, empty and with a month behind it, in a real browser.

Without more, those that the documents show (CHOSEN), into docs/screenshots. With ALL=1 in the environment every page of
the menu and one of each row behind it, light and dark, wide and narrow, from top to bottom, into .screenshots, which
git ignores. ONLY=regex takes only the pictures whose names it finds.
"""

import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, ViewportSize

from demo.site import REPOSITORY, Site, running_site
from exports.nostr.event import event_id, parse_event
from tests.browser.full_site import AUTHOR, fill
from tests.browser.looks import THEMES, WIDTHS, look
from tests.browser.site import browser, log_in
from tests.gate import gate
from tests.servers.postgres import start_postgres
from tests.servers.process import free_port
from tests.servers.records import start_records
from tests.servers.s3 import start_s3

SIGNER = "window.nostr = {getPublicKey: async () => window.publicKey(), signEvent: (event) => window.sign(event)}"
PUBLIC = {"login": "/admin/login/", "exports-signed-out": "/exports/"}
USERS = "exports-page"
TALL = {"dashboard": 1500, "backup": 1240}  # wide pictures of these show more than fits on a screen
SIZES: dict[int, ViewportSize] = {1440: {"width": 1440, "height": 900}, 390: {"width": 390, "height": 844}}
CHOSEN = (
    *("dashboard-light", "dashboard-dark", "dashboard-light-phone", "dashboard-dark-phone", "empty-dashboard-light"),
    *("list-database-light", "list-database-dark", "list-database-light-phone"),
    *("database-light", "database-form-dark", "engines-light"),
    *("backup-light", "backup-dark", "backup-dark-phone", "backup-running-light", "backup-failed-light"),
    *("restore-confirm-light", "restore-confirm-dark", "drill-light", "package-dark", "destination-light"),
    *("event-light", f"{USERS}-light", f"{USERS}-dark-phone"),
)


def main(folder: Path, *, everything: bool, only: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        room = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (room / "site").mkdir()
        server = stack.enter_context(start_postgres(18, room / "postgres"))
        store = stack.enter_context(start_s3(room / "s3"))
        service = stack.enter_context(start_records())
        slow = stack.enter_context(gate(server.host, server.port))
        port = free_port()
        env = {"BACKUPSITE_PUBLIC_URL": f"http://127.0.0.1:{port}", "BACKUPSITE_DATA_DIR": str(room / "site" / "data")}
        serving = running_site(room / "site", pg_bin_dir=server.bin_dir, port=port, env=env)
        site = stack.enter_context(serving)
        chromium = stack.enter_context(browser())
        camera = Camera(chromium, site, folder, everything=everything, only=only)
        pages = camera.pages()
        camera.take({f"empty-{name}": address for name, address in pages.items()})
        pages |= fill(site, server=server, store=store, service=service, slow=slow, env=env)
        camera.take(pages | PUBLIC | {USERS: PUBLIC["exports-signed-out"]})
        slow.open()


def _nothing(page: Page) -> None:
    """The page is what is wanted."""


def _sign_in(page: Page) -> None:
    page.get_by_role("button", name="Sign in with Nostr").click()
    page.get_by_role("link", name="Download").wait_for()


def _begin(page: Page) -> None:
    """What was begun stays: from the second time on its picture is there at once."""
    if (button := page.get_by_role("button", name="Set it up")).count():
        button.click()
        page.wait_for_load_state()


def _choose(page: Page) -> None:
    """Where to, and everything anew: the last step shows what will be overwritten."""
    for box in ("input[name=target][value=staging]", "input[name=drop_existing]"):
        page.check(box)
        page.get_by_role("button", name="Next").click()
        page.wait_for_load_state()


FIRST = {USERS: _sign_in, "second-factor": _begin, "restore-confirm": _choose}  # before the picture is taken


class Camera:
    """Takes the pictures that are wanted of the pages of a site."""

    def __init__(self, chromium: Browser, site: Site, folder: Path, *, everything: bool, only: str) -> None:
        self._chromium, self._site, self._folder = chromium, site, folder
        self._everything, self._only = everything, re.compile(only)
        with look(chromium, theme="light", width=1440) as page:
            log_in(page, site)
            self._state: Any = page.context.storage_state()

    def pages(self) -> dict[str, str]:
        """Every page of the menu: the dashboard, and lists by what they list."""
        with look(self._chromium, theme="light", width=1440, state=self._state) as page:
            page.goto(f"{self._site.url}/admin/")
            links = page.locator("#nav-sidebar-apps a").evaluate_all("found => found.map(one => one.pathname)")
        return {_name(link): link for link in links}

    def take(self, pages: Mapping[str, str]) -> None:
        for theme in THEMES:
            for width in WIDTHS:
                wanted = {
                    name: address for name, address in pages.items() if self._wanted(_picture(name, theme, width))
                }
                for name, page in self._windows(wanted, theme, width):
                    page.set_viewport_size(SIZES[width])
                    page.goto(self._site.url + wanted[name])
                    FIRST.get(name, _nothing)(page)
                    page.wait_for_timeout(400)  # fonts, previews
                    if self._everything:  # a taller window: in a picture of the whole page what sticks lies across it
                        height = page.evaluate("document.documentElement.scrollHeight")
                        page.set_viewport_size({"width": width, "height": height})
                    elif name in TALL and width > 500:
                        page.set_viewport_size({"width": width, "height": TALL[name]})
                    page.screenshot(path=self._folder / f"{_picture(name, theme, width)}.png")

    def _windows(self, wanted: Mapping[str, str], theme: str, width: int) -> Iterator[tuple[str, Page]]:
        """One window for those who are logged in, and one each for whom nobody knows yet."""
        inside = [name for name in wanted if name not in PUBLIC and name != USERS]
        if inside:
            with look(self._chromium, theme=theme, width=width, state=self._state) as page:
                yield from ((name, page) for name in inside)
        for name in wanted.keys() - set(inside):
            with look(self._chromium, theme=theme, width=width) as page:
                if name == USERS:
                    _give_signer(page)
                yield name, page

    def _wanted(self, picture: str) -> bool:
        return (self._everything or picture in CHOSEN) and bool(self._only.search(picture))


def _picture(name: str, theme: str, width: int) -> str:
    return f"{name}-{theme}{'' if width > 500 else '-phone'}"


def _name(link: str) -> str:
    last = link.strip("/").split("/")[1:]
    return f"list-{last[1]}" if len(last) > 1 else "dashboard"


def _give_signer(page: Page) -> None:
    def sign(event: dict[str, Any]) -> dict[str, Any]:
        whole = {**event, "pubkey": AUTHOR.pubkey, "id": "0" * 64, "sig": "0" * 128}
        return AUTHOR.sealed({**whole, "id": event_id(parse_event(whole))})

    page.expose_function("sign", sign)
    page.expose_function("publicKey", lambda: AUTHOR.pubkey)
    page.add_init_script(SIGNER)


if __name__ == "__main__":
    all_of_them = bool(os.environ.get("ALL"))
    default = REPOSITORY / (".screenshots" if all_of_them else "docs/screenshots")
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else default, everything=all_of_them, only=os.environ.get("ONLY", ""))
