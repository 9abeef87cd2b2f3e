"""How a page looks to whoever reads it: light and dark, wide and narrow, without errors, and with axe's eyes.

    with look(chromium, theme="dark", width=390) as page:
        page.goto(f"{site.url}/admin/")
        assert faults_of(page) == []

What the browser complains of on its console while the page is open fails the test when the page is closed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page

from tests.servers.fetch import axe_script

THEMES = ("light", "dark")
WIDTHS = (1440, 390)
SERIOUS = ("serious", "critical")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]


@contextmanager
def look(chromium: Browser, *, theme: str, width: int, state: Any = None) -> Iterator[Page]:
    """A new window; `state` is `page.context.storage_state()` of one that is logged in."""
    size = {"width": width, "height": 900 if width > 500 else 844}
    context = chromium.new_context(viewport=size, storage_state=state, color_scheme=theme)  # type: ignore[arg-type]
    context.add_init_script(f"localStorage.setItem('_x_adminTheme', JSON.stringify('{theme}'))")
    page = context.new_page()
    page.set_default_timeout(20_000)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    try:
        yield page
    finally:
        context.close()
    assert complaints == [], complaints


def faults_of(page: Page) -> list[str]:
    """What axe calls serious or worse, a line each with the first place it was seen at; empty is good."""
    page.evaluate(axe_script().read_text(encoding="utf-8"))
    found = page.evaluate("rules => axe.run(document, {runOnly: rules})", RULES)
    return [
        f"{fault['id']}: {fault['help']}: {place['target']} {place['html'][:160]}"
        for fault in found["violations"]
        if fault["impact"] in SERIOUS
        for place in fault["nodes"][:3]
    ]


def too_wide(page: Page) -> bool:
    """Whether the page scrolls sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))
