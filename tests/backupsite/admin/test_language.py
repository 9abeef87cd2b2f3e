"""Pages speak the reader's language; what programs read, and whatever is kept, stays English."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.template import Context, Template
from django.test import Client, RequestFactory
from django.utils import translation

from accounts.models import Session
from audit.models import Entry
from backupsite.languages import LanguageMiddleware
from databases.models import Database
from notifications.message import Message
from notifications.models import Channel, Event
from notifications.services import try_channel
from tests.backupsite.admin.test_users import NEW

LogIn = Callable[[str], Client]
SPANISH = {"Accept-Language": "es-MX,es;q=0.9,en;q=0.5"}
MARK = "Panel"  # as the menu calls the dashboard


def text(answer: Any) -> str:
    return str(answer.content.decode())


def test_pages_speak_the_language_of_the_browser(log_in: LogIn) -> None:
    browser = log_in("viewer")
    page = browser.get("/admin/", headers=SPANISH)
    assert '<html lang="es"' in text(page)
    assert MARK in text(page)
    assert page.headers["Content-Language"] == "es"
    assert "Accept-Language" in page.headers["Vary"]
    for unknown in ("pt-BR", "", "*"):
        assert MARK not in text(browser.get("/admin/", headers={"Accept-Language": unknown}))


@pytest.mark.parametrize("path", ["/admin/login/", "/exports/"])
def test_so_do_those_before_the_login(db: None, path: str) -> None:
    assert '<html lang="es"' in text(Client().get(path, headers=SPANISH))


def test_a_language_that_was_chosen_comes_before_that_of_the_browser(log_in: LogIn) -> None:
    browser = log_in("viewer")
    browser.get("/admin/language/", {"language": "es"})
    assert MARK not in text(browser.get("/admin/")), "looking changes nothing"
    answer = browser.post("/admin/language/", {"language": "es", "next": "/admin/databases/database/"})
    assert answer.headers["Location"] == "/admin/databases/database/"
    assert MARK in text(browser.get("/admin/"))
    browser.post("/admin/language/", {"language": "en", "next": "/admin/"})
    assert MARK not in text(browser.get("/admin/", headers=SPANISH))


def test_nobody_is_led_to_another_site_by_choosing_one(db: None) -> None:
    answer = Client().post("/admin/language/", {"language": "es", "next": "https://evil.example/"})
    assert "evil" not in answer.headers["Location"]


PROGRAMS = "/healthz /readyz /metrics /exports/jobs /nothing /databases "
PROGRAMS += "/api/databases /api/databases/none /api/schema /api/exports"


@pytest.mark.parametrize("path", PROGRAMS.split())
def test_what_programs_read_is_english_for_everybody(log_in: LogIn, path: str) -> None:
    browser = log_in("admin")
    browser.cookies["backupsite_language"] = "es"
    spanish, english = browser.get(path, headers=SPANISH), log_in("admin").get(path)
    assert spanish.status_code == english.status_code
    assert "Content-Language" not in spanish.headers
    if path != "/metrics":  # its figures grow by being asked
        assert _steady(spanish) == _steady(english)


def _steady(answer: Any) -> str:
    return "\n".join(line for line in text(answer).splitlines() if "instance" not in line)


def test_a_refusal_of_the_api_is_english(shop: Database, log_in: LogIn) -> None:
    answer = log_in("admin").post("/api/databases", {}, content_type="application/json", headers=SPANISH)
    assert answer.status_code == 400
    assert "This field is required." in text(answer)


def test_the_language_ends_with_the_request() -> None:
    """A thread serves somebody else next."""
    heard: list[str | None] = []

    def page(request: Any) -> HttpResponse:
        heard.append(translation.get_language())
        return HttpResponse()

    spoken = LanguageMiddleware(page)
    for path in ("/admin/", "/api/databases"):
        spoken(RequestFactory().get(path, headers=SPANISH))
        assert translation.get_language() == "en"
    with translation.override("es"):  # whatever was left over
        spoken(RequestFactory().get("/api/databases", headers=SPANISH))
    assert heard == ["es", "en", "en"]


def test_what_is_kept_is_english_whoever_did_it(log_in: LogIn) -> None:
    browser = log_in("admin")
    browser.post("/admin/auth/user/add/", NEW, headers=SPANISH)
    assert "The user ada is operator now." in Event.objects.values_list("message", flat=True)
    session = Session.objects.create(user_id=User.objects.get(username="admin").pk, key="x" * 32, agent="")
    browser.post(f"/admin/account/sessions/{session.pk}/end/", headers=SPANISH)
    assert Entry.objects.get(action="session.end").object_name == "an unknown browser"


def test_a_channel_gets_english_messages_whoever_tests_it(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Message] = []
    monkeypatch.setattr(try_channel, "send_message", lambda channel, message, seconds: sent.append(message))
    monkeypatch.setattr("notifications.services.outbox.target_ok", lambda channel: None)
    with translation.override("es"):
        try_channel.try_channel(channel=Channel(name="Pager"))
    assert "This is a test of the channel Pager." in sent[0].text


def test_numbers_are_written_alike_in_every_language() -> None:
    for language in ("en", "es", "fr"):
        with translation.override(language):
            assert Template("{{ share }}").render(Context({"share": 12.5})) == "12.5"
