"""Where somebody is logged in: listed with address and browser, ended one by one or all."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session as DjangoSession
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.addresses import browser_words
from accounts.models import Session
from accounts.services.sessions import forget_ended_sessions
from jobs.registry import sweep_steps
from tests.accounts.conftest import PASSWORD
from tests.api import browser_of

pytestmark = pytest.mark.django_db
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def logged_in(agent: str = FIREFOX) -> Client:
    browser = Client(headers={"user-agent": agent})
    browser.post("/admin/login/", {"username": "ada", "password": PASSWORD})
    return browser


def is_in(browser: Client) -> bool:
    return browser.get("/admin/account/").status_code == 200


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (FIREFOX, "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/120.0 Safari/537.36 Edg/120.0", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 14_0) AppleWebKit/605 Version/17 Safari/605", "Safari on macOS"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Version/17 Mobile Safari/604", "Safari on iPhone"),
        ("curl/8.5.0", "curl"),
        ("", "an unknown browser"),
    ],
)
def test_a_browser_is_told_in_words(agent: str, words: str) -> None:
    assert browser_words(agent) == words


def test_the_page_lists_where_one_is_logged_in(ada: Any) -> None:
    logged_in("Mozilla/5.0 (iPhone) Safari/604")
    page = logged_in().get("/admin/account/").content.decode()
    assert "Firefox on Linux" in page
    assert "Safari on iPhone" in page
    assert page.count("this browser") == 1
    assert "127.0.0.1" in page


def test_one_session_is_ended_and_no_other(ada: Any) -> None:
    other, own = logged_in(), logged_in()
    row = Session.objects.get(key=other.session.session_key)
    own.post(f"/admin/account/sessions/{row.pk}/end/")
    assert (is_in(other), is_in(own)) == (False, True)


def test_all_others_are_ended_and_their_refresh_tokens(ada: Any) -> None:
    others, own = [logged_in(), logged_in()], logged_in()
    tokens = APIClient().post("/api/token", {"username": "ada", "password": PASSWORD}, format="json").json()
    own.post("/admin/account/sessions/end-others/")
    assert [is_in(browser) for browser in [*others, own]] == [False, False, True]
    answer = APIClient().post("/api/token/refresh", {"refresh": tokens["refresh"]}, format="json")
    assert answer.status_code == 401


def test_nobody_ends_the_session_of_another_but_an_admin(ada: Any) -> None:
    hers = logged_in()
    row = Session.objects.get()
    assert browser_of("operator").post(f"/admin/account/sessions/{row.pk}/end/").status_code == 404
    address = f"/admin/auth/user/{ada.pk}/end-session/"
    assert browser_of("operator").post(address, {"session": row.pk}).status_code == 403
    assert is_in(hers)
    admin = browser_of("admin")
    own = Session.objects.get(user__username="admin")
    assert admin.post(address, {"session": own.pk}).status_code == 404  # not one of hers
    for none in ("", "-1", "²", "9" * 5000):
        assert admin.post(address, {"session": none}).status_code == 404
    admin.post(address, {"session": row.pk})
    assert not is_in(hers)
    again = logged_in()
    admin.post(f"/admin/auth/user/{ada.pk}/end-sessions/")
    assert not is_in(again)


def test_logging_out_takes_the_row_along(ada: Any) -> None:
    logged_in().post("/admin/logout/")
    assert not Session.objects.exists()


def test_being_seen_is_noted_at_most_once_a_minute(ada: Any) -> None:
    browser = logged_in()
    long_ago = timezone.now() - timedelta(hours=1)
    Session.objects.update(seen_at=long_ago)
    browser.get("/admin/account/")
    assert Session.objects.get().seen_at == long_ago
    cache.clear()
    browser.get("/admin/account/")
    assert Session.objects.get().seen_at > long_ago


def test_the_sweeper_forgets_sessions_that_ran_out(ada: Any) -> None:
    logged_in(), logged_in()
    assert forget_ended_sessions() == 0
    Session.objects.update(created_at=timezone.now() - timedelta(hours=13))
    DjangoSession.objects.filter(session_key=Session.objects.first().key).update(expire_date=timezone.now())  # type: ignore[union-attr]
    assert forget_ended_sessions() == 1
    assert Session.objects.count() == DjangoSession.objects.count() == 1
    assert "sessions" in sweep_steps(slow=False)
