"""A user's own way: sign in with a key that an extension holds, ask, watch, fetch; light and dark, wide and narrow."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from demo.site import Site
from exports.nostr.event import event_id, parse_event
from tests.browser.looks import LOOKS, faults_of, look, too_wide
from tests.exports.events import Author
from tests.servers.records import RecordsServer, start_records

pytestmark = pytest.mark.browser

SIGNER = "window.nostr = {getPublicKey: async () => window.publicKey(), signEvent: (event) => window.sign(event)}"


@pytest.fixture(scope="module")
def service() -> Iterator[RecordsServer]:
    with start_records() as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def source(site: Site, service: RecordsServer) -> Iterator[None]:
    """Where users of the shared site have their posts while these tests run."""
    client, options = (
        site.login(),
        {"url": f"{service.url}/list/{{collection}}-{{pubkey}}", "collection": "posts, drafts"},
    )
    client.post("/api/export-sources", {"id": "posts", "kind": "http", "name": "The posts", "options": options})
    yield
    client.call("DELETE", "/api/export-sources/posts")


@pytest.fixture
def author(request: pytest.FixtureRequest, service: RecordsServer) -> Author:
    """Somebody with posts and drafts, new in each test: nobody's quota is another's."""
    somebody = Author(request.node.name)
    service.fill(f"posts-{somebody.pubkey}", [{"id": number, "text": f"post {number}"} for number in range(250)])
    service.fill(f"drafts-{somebody.pubkey}", [{"id": 1, "text": "a draft"}])
    return somebody


def give_signer(page: Page, author: Author) -> None:
    def sign(event: dict[str, Any]) -> dict[str, Any]:
        whole = {**event, "pubkey": author.pubkey, "id": "0" * 64, "sig": "0" * 128}
        return author.sealed({**whole, "id": event_id(parse_event(whole))})

    page.expose_function("sign", sign)
    page.expose_function("publicKey", lambda: author.pubkey)
    page.add_init_script(SIGNER)


@pytest.fixture
def opened(chromium: Browser, site: Site, author: Author) -> Iterator[Callable[..., Page]]:
    """`opened()` is the page of a signed-in user."""
    page = chromium.new_page()
    give_signer(page, author)

    def sign_in() -> Page:
        page.goto(f"{site.url}/exports/")
        page.get_by_role("button", name="Sign in with Nostr").click()
        expect(page.locator("#pubkey")).to_have_text(author.pubkey)
        return page

    yield sign_in
    page.close()


def test_a_user_signs_in_asks_watches_and_fetches(opened: Callable[..., Page], author: Author, tmp_path: Path) -> None:
    page = opened()
    expect(page.get_by_text("You have not asked for one yet.")).to_be_visible()
    page.get_by_role("button", name="Ask for it").click()
    expect(page.locator(".state")).to_have_text("Completed", timeout=60_000)
    with page.expect_download() as started:
        page.get_by_role("link", name="Download").click()
    archive = tmp_path / started.value.suggested_filename
    started.value.save_as(archive)
    subprocess.run(["unzip", "-q", str(archive), "-d", str(tmp_path)], check=True)
    posts = (tmp_path / "posts" / "posts.ndjson").read_text().splitlines()
    assert len(posts) == 250
    index = json.loads((tmp_path / "index.json").read_text())
    assert index["export"]["pubkey"] == author.pubkey


def test_a_choice_of_collections_and_a_wrong_recipient_is_told(opened: Callable[..., Page], tmp_path: Path) -> None:
    page = opened()
    page.get_by_text("A choice").click()
    page.get_by_label("drafts").check()
    page.get_by_text("Encrypt it for a key of yours").click()
    page.get_by_label("age or SSH public key").fill("my birthday")
    page.get_by_role("button", name="Ask for it").click()
    expect(page.get_by_role("alert")).to_contain_text("age public key")
    page.get_by_label("age or SSH public key").fill("")
    page.get_by_role("button", name="Ask for it").click()
    expect(page.locator(".state")).to_have_text("Completed", timeout=60_000)
    expect(page.get_by_role("alert")).to_be_hidden()
    with page.expect_download() as started:
        page.get_by_role("link", name="Download").click()
    names = subprocess.run(["unzip", "-Z1", str(started.value.path())], capture_output=True, text=True, check=True)
    assert set(names.stdout.split()) == {"posts/drafts.ndjson", "index.json", "README.txt"}


def test_a_user_deletes_an_export_and_signs_out(opened: Callable[..., Page], site: Site) -> None:
    page = opened()
    page.get_by_role("button", name="Ask for it").click()
    expect(page.locator(".state")).to_have_text("Completed", timeout=60_000)
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("You have not asked for one yet.")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in with Nostr")).to_be_visible()
    page.goto(f"{site.url}/exports/")
    expect(page.get_by_role("button", name="Sign in with Nostr")).to_be_visible()


@pytest.mark.parametrize(("theme", "width"), LOOKS)
def test_the_page_is_for_everybody(chromium: Browser, site: Site, author: Author, theme: str, width: int) -> None:
    with look(chromium, theme=theme, width=width) as page:
        page.goto(f"{site.url}/exports/")
        expect(page.get_by_text("No such extension was found")).to_be_visible()
        assert (faults_of(page), too_wide(page)) == ([], False)
    with look(chromium, theme=theme, width=width) as page:
        give_signer(page, author)
        page.goto(f"{site.url}/exports/")
        page.get_by_role("button", name="Sign in with Nostr").click()
        page.get_by_text("A choice").click()
        page.get_by_text("Encrypt it for a key of yours").click()
        assert (faults_of(page), too_wide(page)) == ([], False)
