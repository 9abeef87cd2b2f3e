"""Every address that the admin has, as the resolver knows them: no GET changes anything, no viewer does anything."""

import re
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any

import pytest
from django.apps import apps
from django.core import serializers
from django.test import Client
from django.urls import URLResolver, get_resolver

from tests.everything import address_of, make_everything

LogIn = Callable[[str], Client]
FORM = re.compile(r'<form[^>]*method="post"[^>]*action="([^"]*)"')
# What answers a POST as it answers a GET: the first page, the search, lists, histories, redirects.
READ = re.compile(r"/admin/(search/|\w+/\w+/([^/]+/(history/)?)?)?")
WHOLE = re.compile(r"<(?:\w+:)?(\w+)>")
OWN = ("/admin/account/", "/admin/login/", "/admin/logout/", "/admin/language/", "/admin/password_change/")
SINGLE = {"databases/policy": "1", "packages/packagepolicy": "1", "exports/exportpolicy": "1"}
OTHERS = {"admin/mute/": "shop", "admin/account/": "1", "admin/r/": "1"}


@pytest.fixture
def rows(db: None, settings: Any) -> dict[str, str]:
    """The id of a row by the table's address."""
    settings.BACKUPSITE_FOUR_EYES = True
    made = {address_of(row).removeprefix("/admin/").rsplit("/", 3)[0]: str(row.pk) for row in make_everything()}
    return made | SINGLE


def _routes(patterns: Any, before: str = "") -> Iterator[str]:
    for one in patterns:
        route = before + str(one.pattern)
        yield from _routes(one.url_patterns, route) if isinstance(one, URLResolver) else [route]


def every_address(rows: dict[str, str]) -> list[str]:
    """With the ids of rows that are there, where a table has any."""
    found = set()
    for route in _routes(get_resolver().url_patterns):
        if not route.startswith("admin/") or "(?P" in route:
            continue
        table = "/".join(route.split("/")[1:3])
        known = rows.get(table) or next((pk for start, pk in OTHERS.items() if route.startswith(start)), "none")
        found.add("/" + WHOLE.sub(known, route))
    return sorted(found)


def _site() -> str:
    """Everything the site knows, but who is logged in, and what the audit says of who was refused."""
    left_out = ("sessions", "contenttypes", "accounts", "audit")
    models = [model for model in apps.get_models() if model._meta.app_label not in left_out]
    rows = [row for model in models for row in model._default_manager.order_by("pk")]
    return str(serializers.serialize("json", rows))


def test_no_get_changes_anything(log_in: LogIn, rows: dict[str, str]) -> None:
    browser, addresses = log_in("admin"), every_address(rows)
    before = _site()
    answers = [browser.get(address).status_code for address in addresses]
    assert set(answers) <= {200, 204, 286, 302, 403, 404, 405}, "nothing breaks"
    assert answers.count(200) > 80, "rows were found"
    assert answers.count(405) > 25, "what only changes something answers POST only"
    assert _site() == before


def test_a_viewer_does_nothing_by_post(log_in: LogIn, rows: dict[str, str]) -> None:
    browser, sent = log_in("viewer"), {"confirm": "shop", "target": "shop"}
    before = _site()
    answers = {
        address: browser.post(address, sent).status_code
        for address in every_address(rows)
        if not address.startswith(OWN) and not READ.fullmatch(address)
    }
    assert {address: status for address, status in answers.items() if status not in (403, 404, 405)} == {}
    assert len(answers) > 100
    assert _site() == before


def test_a_viewer_is_shown_nothing_that_a_viewer_may_not(log_in: LogIn, rows: dict[str, str]) -> None:
    browser, asked = log_in("viewer"), dict[str, str]()
    pages = [address for address in every_address(rows) if not address.startswith(OWN)]
    shown = 0
    for address in pages:
        answer = browser.get(address)
        if answer.status_code != 200 or "text/html" not in answer.headers["Content-Type"]:
            continue
        shown += 1
        page = answer.content.decode()
        for link in map(unescape, re.findall(r'(?:href|hx-get)="(/admin/[^"#]*)"', page)):
            asked.setdefault(link, address)
        forms = re.findall(r'<form[^>]*method="post"[^>]*action="([^"]*)"', page) + re.findall(
            r'hx-post="([^"]*)"', page
        )
        assert [form for form in forms if not form.startswith(OWN)] == [], address
    assert shown > 40
    refused = {link: page for link, page in asked.items() if browser.get(link).status_code in (403, 404)}
    assert refused == {}, "a link, and the page it is on"
