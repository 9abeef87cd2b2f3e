"""How a page looks to whoever reads it: light and dark, wide and narrow, without errors, and with axe's eyes.

    with look(chromium, theme="dark", width=390) as page:
        page.goto(f"{site.url}/admin/")
        assert faults_of(page) == []

What the browser complains of on its console while the page is open fails the test when the page is closed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Locator, Page, expect

from tests.servers.fetch import axe_script

THEMES = ("light", "dark")
WIDTHS = (1440, 390)
LOOKS = list(zip(THEMES, WIDTHS, strict=True))  # each theme and each width once: all four would take twice as long
SERIOUS = ("serious", "critical")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
STILL = "const still = new CSSStyleSheet(); still.replaceSync('* { transition: none !important }')"


def _size(width: int) -> Any:
    return {"width": width, "height": 900 if width > 500 else 844}


@contextmanager
def look(chromium: Browser, *, theme: str, width: int, state: Any = None) -> Iterator[Page]:
    """A new window; `state` is `page.context.storage_state()` of one that is logged in."""
    context = chromium.new_context(viewport=_size(width), storage_state=state, color_scheme=theme)  # type: ignore[arg-type]
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
    if not page.evaluate("'axe' in window"):
        page.evaluate(axe_script().read_text(encoding="utf-8"))
    options = {"runOnly": RULES, "resultTypes": ["violations"]}
    found = page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{fault['id']}: {fault['help']}: {place['target']} {place['html'][:160]}"
        for fault in found["violations"]
        if fault["impact"] in SERIOUS
        for place in fault["nodes"][:3]
    ]


def too_wide(page: Page) -> bool:
    """Whether the page scrolls sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))


def amiss(page: Page) -> list[str]:
    """Faults of the page as it stands, with what was filled in: dark on a phone, then light on a desk."""
    page.evaluate(f"{STILL}; document.adoptedStyleSheets = [...document.adoptedStyleSheets, still]")
    found = []
    for theme, width in reversed(LOOKS):
        page.set_viewport_size(_size(width))
        page.evaluate("dark => document.documentElement.classList.toggle('dark', dark)", theme == "dark")
        found += [f"{theme}, {width}: {fault}" for fault in faults_of(page)]
        found += [f"{theme}, {width}: scrolls sideways"] if too_wide(page) else []
    return found


def tab_to(page: Page, place: Locator, *, within: int = 120) -> None:
    """By keyboard alone, in the order of the page, with the focus in sight wherever it is."""
    for _ in range(within):
        page.keyboard.press("Tab")
        if place.evaluate("element => element === document.activeElement"):
            break
    expect(place).to_be_focused()
    seen = place.evaluate(
        "element => [element, element.parentElement].some(one => {"
        " const style = getComputedStyle(one); return style.outlineStyle !== 'none' || style.boxShadow !== 'none' })"
    )
    assert seen, "the focus cannot be seen"
