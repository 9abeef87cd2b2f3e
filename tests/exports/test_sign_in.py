"""Signing in to the API of exports: who is asked, what is believed, and that it works once and there only."""

import json
import threading
from collections import Counter
from typing import Any

import pytest
from django.db import connections
from django.test import RequestFactory

from backupsite.api.models import IdempotencyKey
from exports.api.authentication import NostrUser, raw_target
from exports.models import Export, SeenEvent
from exports.services.remember_event import remember_event
from exports.services.remove import forget_seen_events
from jobs.errors import BackupError
from jobs.roles import Role, role_of
from tests.api import api, user_with
from tests.exports.signing import User, as_token, code_of
from tests.servers.nostr_tools import sign

pytestmark = pytest.mark.django_db
LIST = "/api/backup"


@pytest.mark.usefixtures("origin")
def test_a_signature_lets_in_and_shows_the_user_s_own() -> None:
    ada, bob = User("ada"), User("bob")
    Export.objects.create(pubkey=bob.pubkey)
    assert ada.get(LIST).json() == {"jobs": [], "total": 0}
    assert bob.get(LIST).json()["total"] == 1


@pytest.mark.usefixtures("origin")
def test_the_same_at_the_root_and_with_a_trailing_slash() -> None:
    for address in ("/backup", "/backup/", "/api/backup/"):
        assert User().get(address).status_code == 200


@pytest.mark.usefixtures("offered")
def test_the_requests_of_nostr_tools_are_answered() -> None:
    body = {"backupType": "full", "metadata": {"note": "für Ada"}}
    signed = sign(
        [("https://b.example.com/api/backup", "POST", body), ("https://b.example.com/api/backup", "GET", None)]
    )
    raw = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    made = User().send("POST", LIST, signed.tokens[0], raw)
    assert made.status_code == 201, made.json()
    listed = User().send("GET", LIST, signed.tokens[1])
    assert [job["id"] for job in listed.json()["jobs"]] == [made.json()["id"]]
    assert Export.objects.get().pubkey == signed.pubkey


@pytest.mark.usefixtures("origin")
@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "not_authenticated"),
        ("Bearer abc", "not_authenticated"),
        ("Basic YTpi", "not_authenticated"),
        ("Api-Key bks_abc", "not_authenticated"),
        ("Nostr", "nip98_event"),
        ("Nostr ***", "nip98_header"),
        (f"Nostr {as_token('{}')}", "nip98_event"),
    ],
)
def test_whoever_is_not_signed_in_is_told_how(header: str, code: str) -> None:
    answer = User().send("GET", LIST, header)
    assert code_of(answer) == (401, code)
    assert answer.headers["WWW-Authenticate"] == "Nostr"


@pytest.mark.usefixtures("origin")
def test_the_code_says_which_check_failed() -> None:
    ada = User()
    wrong: dict[str, str] = {
        "nip98_kind": ada.header("GET", LIST, kind=1),
        "nip98_time": ada.header("GET", LIST, created_at=1),
        "nip98_tags": ada.header("GET", LIST, tags=[]),
        "nip98_url": ada.header("GET", f"{LIST}?limit=1"),
        "nip98_method": ada.header("POST", LIST),
        "nip98_payload": ada.header("GET", LIST, b"x"),
        "nip98_id": f"Nostr {as_token({**ada.event('GET', LIST), 'content': 'x'})}",
        "nip98_signature": f"Nostr {as_token(User('bob').sealed(ada.event('GET', LIST)))}",
    }
    assert {code_of(ada.send("GET", LIST, header))[1]: header for header in wrong.values()} == wrong
    assert not SeenEvent.objects.exists()  # a refused event is not used up


@pytest.mark.usefixtures("origin")
def test_no_header_of_a_client_changes_the_address(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    lured = User(origin="https://evil.example.com", HTTP_HOST="evil.example.com")
    forwarded = {"HTTP_X_FORWARDED_HOST": "evil.example.com", "HTTP_X_FORWARDED_PROTO": "https"}
    forwarded |= {"HTTP_RAW_URI": LIST, "HTTP_REQUEST_URI": LIST, "HTTP_X_ORIGINAL_URL": LIST}
    assert code_of(lured.get(LIST, **forwarded)) == (401, "nip98_url")
    assert User(HTTP_HOST="evil.example.com").get(LIST, **forwarded).status_code == 200


def test_the_address_is_the_raw_one_where_the_server_knows_it() -> None:
    request = RequestFactory().get("/api/backup?limit=5&a=%2F")
    assert raw_target(request) == "/api/backup?limit=5&a=%2F"
    request.META["RAW_URI"] = "/api/%62ackup?limit=5"
    assert raw_target(request) == "/api/%62ackup?limit=5"


def test_without_a_configured_address_nobody_gets_in(settings: Any) -> None:
    settings.BACKUPSITE_EXPORT_ORIGINS = []
    answer = User().get(LIST)
    assert code_of(answer) == (401, "nip98_url")
    assert "operator" in answer.json()["detail"]


@pytest.mark.usefixtures("offered")
def test_the_raw_bytes_of_the_body_are_signed() -> None:
    ada = User()
    raw = b'{ "backupType" : "full" }'
    header = ada.header("POST", LIST, raw)
    assert code_of(ada.send("POST", LIST, header, b'{"backupType":"full"}')) == (401, "nip98_payload")
    assert ada.send("POST", LIST, header, raw).status_code == 201
    assert code_of(ada.send("POST", LIST, ada.header("POST", LIST), raw)) == (401, "nip98_payload")


@pytest.mark.usefixtures("offered")
def test_an_unsigned_body_is_taken_where_the_operator_says_so(settings: Any) -> None:
    settings.BACKUPSITE_NIP98_PAYLOAD = False
    ada = User()
    assert ada.send("POST", LIST, ada.header("POST", LIST), b'{"backupType":"full"}').status_code == 201


@pytest.mark.usefixtures("origin")
def test_an_event_signs_one_request() -> None:
    ada = User()
    header = ada.header("GET", LIST)
    assert ada.send("GET", LIST, header).status_code == 200
    assert code_of(ada.send("GET", LIST, header)) == (401, "nip98_replayed")


def test_an_event_is_remembered_until_its_window_ends() -> None:
    remember_event(event_id="a" * 64, created_at=1_700_000_000, window_s=60)
    remember_event(event_id="b" * 64, created_at=4_000_000_000, window_s=60)
    assert forget_seen_events() == 1
    with pytest.raises(BackupError, match="signed a request before"):
        remember_event(event_id="b" * 64, created_at=4_000_000_000, window_s=60)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("origin")
def test_of_many_at_once_one_is_taken() -> None:
    header = User().header("GET", LIST)
    answers: Counter[int] = Counter()
    together = threading.Barrier(8)

    def ask() -> None:
        together.wait()
        answers[User().send("GET", LIST, header).status_code] += 1
        connections.close_all()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {200: 1, 401: 7}


@pytest.mark.usefixtures("origin")
def test_a_user_of_the_site_is_nobody_here() -> None:
    assert code_of(api("admin").get("/api/backup/trigger")) == (405, "method_not_allowed")
    browser = User().client
    browser.force_login(user_with("admin"))
    assert code_of(browser.get(LIST)) == (401, "not_authenticated")


@pytest.mark.usefixtures("origin")
@pytest.mark.parametrize("address", ["/api/databases", "/api/backup/status", "/api/exports", "/api/export-policy"])
def test_an_end_user_gets_nowhere_else(address: str) -> None:
    assert User().get(address).status_code == 401


def test_an_end_user_has_no_role() -> None:
    assert role_of(NostrUser("ab" * 32)) == Role.NONE


@pytest.mark.usefixtures("offered")
def test_an_idempotency_key_is_the_user_s_own() -> None:
    ada, bob = User("ada"), User("bob")

    def ask(user: User, **body: str) -> Any:
        return user.post(LIST, {"backupType": "full", **body}, HTTP_IDEMPOTENCY_KEY="once")

    first, again, other = ask(ada), ask(ada), ask(bob)
    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 201)
    assert first.json()["id"] == again.json()["id"] != other.json()["id"]
    assert again.headers["Location"] == first.headers["Location"]
    assert code_of(ask(ada, backupType="incremental")) == (409, "idempotency_conflict")
    assert set(IdempotencyKey.objects.values_list("owner", flat=True)) == {ada.pubkey, bob.pubkey}
