"""The public page: what it may load, and what the cookie of somebody who signed in there can do."""

import time
from typing import Any

import pytest
from django.core import signing
from django.test import Client

from exports.api.page import COOKIE, LASTS_S, SALT
from exports.models import Export
from exports.services.save_policy import save_export_policy
from tests.exports.signing import User, code_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("origin")]
SESSION, JOBS, LIST = "/exports/session", "/exports/jobs", "/api/backup"
NOBODY: dict[str, Any] = {"pubkey": None, "jobs": []}


def jobs(user: User) -> Any:
    answer = user.client.get(JOBS)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    return answer.json()


@pytest.fixture
def ada() -> User:
    """Signed in."""
    user = User("ada")
    assert user.post(SESSION).json() == {"pubkey": user.pubkey}
    return user


def test_nothing_from_elsewhere_runs_on_it_and_nobody_frames_it() -> None:
    for address in ("/exports", "/exports/"):
        answer = Client().get(address)
        assert answer.status_code == 200
        rules = dict(rule.strip().split(" ", 1) for rule in answer.headers["Content-Security-Policy"].split(";"))
        assert rules["default-src"] == rules["frame-ancestors"] == "'none'"
        assert rules["script-src"] == "'self'"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "no-store" in answer.headers["Cache-Control"]


def test_it_says_so_where_nothing_is_offered(shop: Any) -> None:
    assert 'id="ask"' in Client().get("/exports/").content.decode()
    save_export_policy(values={"enabled": False})
    page = Client().get("/exports/").content.decode()
    assert "Not offered here" in page
    assert 'id="ask"' not in page


def test_one_signature_lets_watch_one_s_own_exports(ada: User) -> None:
    own = Export.objects.create(pubkey=ada.pubkey)
    Export.objects.create(pubkey=User("bob").pubkey)
    found = jobs(ada)
    assert found["pubkey"] == ada.pubkey
    assert [job["id"] for job in found["jobs"]] == [own.pk]


def test_the_cookie_goes_to_the_page_only_and_no_script_reads_it(settings: Any) -> None:
    settings.SESSION_COOKIE_SECURE = True
    ada = User("ada")
    cookie = ada.post(SESSION).cookies[COOKIE]
    assert (cookie["path"], cookie["samesite"], cookie["max-age"]) == ("/exports/", "Strict", LASTS_S)
    assert cookie["httponly"] and cookie["secure"]


def test_the_cookie_changes_nothing(ada: User) -> None:
    export = Export.objects.create(pubkey=ada.pubkey)
    cookie: Any = {"HTTP_COOKIE": f"{COOKIE}={ada.client.cookies[COOKIE].value}"}  # as if it went everywhere
    one = f"{LIST}/{export.pk}"
    for method, address in (("POST", LIST), ("GET", LIST), ("POST", f"{one}/cancel"), ("DELETE", one)):
        answer = Client().generic(method, address, "{}", content_type="application/json", **cookie)
        assert code_of(answer) == (401, "not_authenticated")
    assert Client().post(JOBS, **cookie).status_code == 405
    assert Export.objects.count() == 1


def test_a_cookie_that_was_changed_or_is_old_or_another_one_lets_nobody_in(
    ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    Export.objects.create(pubkey=ada.pubkey)
    good = ada.client.cookies[COOKIE].value
    for value in (f"{good}x", good.replace(good[:4], "WyJh"), signing.dumps(ada.pubkey, salt="another"), "x", ""):
        ada.client.cookies[COOKIE] = value
        assert jobs(ada) == NOBODY
    ada.client.cookies[COOKIE] = signing.dumps(ada.pubkey, salt=SALT)
    assert jobs(ada)["pubkey"] == ada.pubkey
    now = time.time()
    monkeypatch.setattr("django.core.signing.time.time", lambda: now + LASTS_S + 5)
    assert jobs(ada) == NOBODY


def test_signing_in_takes_a_signature_and_is_counted() -> None:
    assert code_of(Client().post(SESSION)) == (401, "not_authenticated")
    save_export_policy(values={"queries_per_quarter": 2})
    user = User("ada")
    address = {"REMOTE_ADDR": "192.0.2.5"}
    assert [user.post(SESSION, **address).status_code for _ in range(3)] == [200, 200, 429]


def test_signing_out_ends_it(ada: User) -> None:
    assert ada.client.post("/exports/sign-out").status_code == 204
    assert jobs(ada) == NOBODY
