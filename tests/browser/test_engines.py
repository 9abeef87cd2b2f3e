"""A Database of each engine added by hand, in a real browser; a bucket backed up step by step."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from databases.engines import registry
from demo.site import Site
from tests.databases.bodies import BODIES, CANARY, body_of, registered
from tests.servers.s3 import S3Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def _add(page: Page, site: Site, kind: str, values: dict[str, Any]) -> None:
    """From the list to the new Database's page, with every option in sight."""
    page.goto(f"{site.url}/admin/databases/database/add/")
    page.click(f"a[href='?engine={kind}']")
    expect(page.locator(".bks-head h1")).to_contain_text(registry.engine_class(kind).label)
    for summary in page.locator(".bks-fold > summary").all():
        summary.click()
    for name, value in values.items():
        place = page.locator(f"[name='{name}']")
        if place.evaluate("element => element.tagName") == "SELECT":
            place.select_option(str(value))
        elif isinstance(value, bool):
            place.set_checked(value)
        else:
            place.fill("\n".join(value) if isinstance(value, list) else _pairs(value))
    page.click("button:has-text('Save')")
    expect(page).to_have_url(re.compile(r"/change/$"))


def _pairs(value: Any) -> str:
    return "\n".join(f"{name}: {text}" for name, text in value.items()) if isinstance(value, dict) else str(value)


@pytest.mark.parametrize("kind", registered())
def test_one_is_added_and_edited_by_hand(page: Page, site: Site, kind: str) -> None:
    body = body_of(kind, id=f"walk-{kind}", name=f"Walk {kind}")
    del body["engine"]
    options = {f"options.{name}": value for name, value in body.pop("options").items()}
    _add(page, site, kind, {**body, **options})
    for name in BODIES[kind].secrets:
        assert CANARY not in page.content(), name
    page.click("text=Edit")
    page.fill("[name=name]", f"Walked {kind}")
    page.click("button:has-text('Save')")
    expect(page.locator(".bks-head h1")).to_contain_text(f"Walked {kind}")
    page.goto(f"{site.url}/admin/databases/database/")
    expect(page.get_by_text(f"Walked {kind}")).to_be_visible()
    assert CANARY not in page.content()


def test_a_bucket_is_backed_up_step_by_step(page: Page, site: Site, s3: S3Server, s3_bucket: str) -> None:
    client = s3.client()
    for number in range(3):
        client.put_object(Bucket=s3_bucket, Key=f"images/{number}.jpg", Body=b"x" * 1000)
    _add(
        page,
        site,
        "s3",
        {
            "name": "Photos",
            "id": "photos",
            "options.bucket": s3_bucket,
            "options.endpoint_url": s3.endpoint_url,
            "options.region": s3.region,
            "options.access_key": s3.access_key,
            "options.secret_key": s3.secret_key,
            "options.addressing": "path",
            "scheduled_type": "incremental",
        },
    )
    page.click("text=Check connection")
    expect(page.locator("#check-report")).to_contain_text("Reachable")
    page.click("text=Back up now")
    expect(page.locator(".bks-head .bks-completed")).to_be_visible(timeout=120_000)
    full = page.url
    client.put_object(Bucket=s3_bucket, Key="images/new.jpg", Body=b"y" * 1000)
    client.close()

    page.goto(f"{site.url}/admin/databases/database/photos/change/")
    page.click("summary[aria-label='Other ways to back up']")
    page.click("button:has-text('Incremental backup')")
    expect(page.locator(".bks-head .bks-completed")).to_be_visible(timeout=120_000)
    expect(page.get_by_text("Builds on", exact=True)).to_be_visible()
    page.click(f"a[href='{full.removeprefix(site.url)}']")
    expect(page.get_by_text("Carries", exact=True)).to_be_visible()

    page.goto(f"{site.url}/admin/databases/database/photos/change/")
    page.click("summary[aria-label='Other ways to back up']")
    page.click("text=Backup of chosen keys")
    page.fill("[name=include]", "images/new.jpg")
    page.click("button:has-text('Back up')")
    expect(page.locator(".bks-head .bks-completed")).to_be_visible(timeout=120_000)
    expect(page.get_by_text("selective").first).to_be_visible()
