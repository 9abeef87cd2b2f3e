"""Takes the pictures of docs/images from a site that runs: `make demo KEEP=1`, then `make screenshots`."""

import os
import sys
from urllib.error import URLError
from urllib.request import urlopen

from playwright.sync_api import Page, sync_playwright

from tests.servers.apt import Missing
from tests.servers.fetch import REPOSITORY, browser

SITE = os.environ.get("BACKUPSITE_URL", "http://127.0.0.1:8000")
PASSWORD_FILE = REPOSITORY / ".demo" / "admin-password"
IMAGES = REPOSITORY / "docs" / "images"
PAGES = {
    "overview": "/admin/",
    "databases": "/admin/databases/database/",
    "backups": "/admin/backups/backup/",
    "restores": "/admin/backups/restore/",
    "api": "/docs",
}
WIDTH, HEIGHT = 1280, 800


def log_in(page: Page, username: str, password: str) -> None:
    page.goto(f"{SITE}/admin/login/?next=/admin/")
    page.fill("input[name=username]", username)
    page.fill("input[name=password]", password)
    page.press("input[name=password]", "Enter")
    page.wait_for_url(f"{SITE}/admin/")


def take(page: Page, name: str, address: str) -> None:
    page.goto(f"{SITE}{address}", wait_until="load")
    page.wait_for_timeout(800)  # fonts and the pages' own scripts
    page.screenshot(path=IMAGES / f"{name}.png")
    print(f"docs/images/{name}.png")


def main() -> int:
    try:
        urlopen(f"{SITE}/healthz", timeout=5).close()
        password = os.environ.get("BACKUPSITE_ADMIN_PASSWORD") or PASSWORD_FILE.read_text().strip()
        chromium = browser()
    except (URLError, OSError, Missing) as problem:
        print(f"error: {problem}. Start a site first: make demo KEEP=1", file=sys.stderr)
        return 1
    IMAGES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-quic", "--disable-background-networking"]
        )
        page = opened.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        log_in(page, os.environ.get("BACKUPSITE_ADMIN_USERNAME", "admin"), password)
        for name, address in PAGES.items():
            take(page, name, address)
        page.goto(f"{SITE}{PAGES['backups']}")
        newest = page.locator("#result_list tbody a[href*='/backups/backup/']").first.get_attribute("href")
        if newest:
            take(page, "backup", newest)
        opened.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
