"""Tokens, API keys and roles."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from backupsite.api.models import ApiKey
from backupsite.api.services.api_keys import create_api_key
from backupsite.api.sweeping import forget_expired_tokens
from jobs.models import Quota
from jobs.registry import sweep_steps
from jobs.services.quota import forget_old_quotas, subject_of
from tests.api import api, user_with

pytestmark = pytest.mark.django_db
LOGIN = {"username": "the-viewer", "password": "correct horse"}


@pytest.fixture
def viewer() -> Any:
    return user_with("viewer", password="correct horse")


def post(address: str, body: object, **headers: str) -> Any:
    return APIClient().post(address, body, format="json", headers=headers)


def bearer(token: str) -> int:
    return APIClient().get("/api/databases", headers={"authorization": f"Bearer {token}"}).status_code


def test_the_roles_are_groups() -> None:
    assert {"admin", "operator", "viewer"} <= set(Group.objects.values_list("name", flat=True))


def test_a_login_gives_tokens_that_open_the_api(viewer: Any) -> None:
    answer = post("/api/token", LOGIN)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    tokens = answer.json()
    assert bearer(tokens["access"]) == 200
    again = post("/api/token/refresh", {"refresh": tokens["refresh"]})
    assert bearer(again.json()["access"]) == 200


def test_a_refresh_token_is_no_access_token(viewer: Any) -> None:
    tokens = post("/api/token", LOGIN).json()
    assert bearer(tokens["refresh"]) == 401
    assert post("/api/token/refresh", {"refresh": tokens["access"]}).status_code == 401


def test_a_revoked_refresh_token_is_dead(viewer: Any) -> None:
    refresh = {"refresh": post("/api/token", LOGIN).json()["refresh"]}
    assert post("/api/token/revoke", refresh).status_code == 204
    assert post("/api/token/refresh", refresh).status_code == 401
    assert post("/api/token/revoke", refresh).status_code == 401


def test_a_new_password_ends_every_token(viewer: Any) -> None:
    tokens = post("/api/token", LOGIN).json()
    viewer.set_password("battery staple")
    viewer.save()
    assert bearer(tokens["access"]) == 401
    assert post("/api/token/refresh", {"refresh": tokens["refresh"]}).status_code == 401


def test_a_deleted_or_deactivated_user_has_no_tokens(viewer: Any) -> None:
    tokens = post("/api/token", LOGIN).json()
    viewer.is_active = False
    viewer.save()
    assert (bearer(tokens["access"]), post("/api/token", LOGIN).status_code) == (401, 401)
    assert post("/api/token/refresh", {"refresh": tokens["refresh"]}).status_code == 401
    viewer.delete()
    assert bearer(tokens["access"]) == 401
    assert post("/api/token/refresh", {"refresh": tokens["refresh"]}).status_code == 401


@pytest.mark.parametrize(
    "body",
    [{}, [], "x", None, {"username": 1, "password": []}, {"username": "a\0", "password": "b"}, {"username": "a"}],
)
def test_a_login_that_is_none_is_malformed(body: object) -> None:
    answer = post("/api/token", body)
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")


def test_no_credentials_are_401_and_wrong_ones_too(viewer: Any) -> None:
    for headers in ({}, {"authorization": "Bearer x"}, {"authorization": "Api-Key x"}, {"authorization": "Api-Key"}):
        answer = APIClient().get("/api/databases", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    wrong = post("/api/token", {**LOGIN, "password": "guess"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "bad_credentials")


def test_guessing_is_slowed_down(viewer: Any) -> None:
    for _ in range(10):
        assert post("/api/token", {**LOGIN, "password": "guess"}).status_code == 401
    refused = post("/api/token", LOGIN)
    assert (refused.status_code, refused.json()["code"]) == (429, "throttled")
    assert 0 < int(refused.headers["Retry-After"]) <= 301
    Quota.objects.update(window_ends_at=timezone.now() - timedelta(seconds=1))
    assert post("/api/token", LOGIN).status_code == 200


def test_logging_in_often_is_not_guessing(viewer: Any) -> None:
    assert {post("/api/token", LOGIN).status_code for _ in range(70)} == {200}


@pytest.mark.django_db(transaction=True)
def test_guesses_at_the_same_moment_are_all_counted() -> None:
    def guess(_: int) -> int:
        try:
            return int(post("/api/token", {**LOGIN, "password": "guess"}).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(guess, range(24)))
    assert sorted(answers) == [401] * 10 + [429] * 14


def test_the_sweeper_forgets_old_attempts_and_tokens(viewer: Any) -> None:
    post("/api/token", {**LOGIN, "password": "guess"})
    post("/api/token", LOGIN)
    assert (forget_old_quotas(), forget_expired_tokens()) == (0, 0)
    Quota.objects.update(window_ends_at=timezone.now() - timedelta(seconds=1))
    OutstandingToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert forget_old_quotas() > 0
    assert forget_expired_tokens() == 1
    assert {"idempotency_keys", "quotas", "refresh_tokens"} <= set(sweep_steps(slow=False))


def with_key(secret: str, method: str = "get", address: str = "/api/databases") -> Any:
    return getattr(APIClient(), method)(address, headers={"authorization": f"Api-Key {secret}"})


def test_an_admin_makes_a_key_that_is_shown_once() -> None:
    client = api("admin")
    answer = client.post("/api/keys", {"name": "cron host", "role": "operator"}, format="json")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store")
    made = answer.json()
    assert made["key"].startswith("bks_")
    assert answer.headers["Location"] == f"/api/keys/{made['id']}"
    listed = client.get("/api/keys")
    assert listed.json()["count"] == 1
    assert made["key"] not in listed.content.decode()
    assert not ApiKey.objects.filter(digest__contains=made["key"]).exists()
    assert with_key(made["key"]).status_code == 200
    assert client.delete(f"/api/keys/{made['id']}").status_code == 204
    assert with_key(made["key"]).status_code == 401
    assert client.get(f"/api/keys/{made['id']}").json()["revoked_at"] is not None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "x"},
        {"name": "x", "role": "root"},
        {"name": "", "role": "viewer"},
        {"name": "x", "role": "viewer", "expires_at": "2001-01-01T00:00:00Z"},
        {"name": "x", "role": "viewer", "digest": "0" * 64},
    ],
)
def test_a_key_that_cannot_be_is_refused(body: object) -> None:
    assert api("admin").post("/api/keys", body, format="json").status_code == 400
    assert not ApiKey.objects.exists()


def test_a_key_may_what_its_role_may_whoever_made_it() -> None:
    _, secret = create_api_key(name="reader", role="viewer", user=user_with("admin"))
    assert with_key(secret).status_code == 200
    assert with_key(secret, "post").status_code == 403
    assert with_key(secret, "post", "/api/backups").status_code == 403
    _, secret = create_api_key(name="nobody's", role="operator")
    assert with_key(secret, "post", "/api/backups").status_code == 400


def test_a_key_ends_with_its_time_and_with_its_maker() -> None:
    key, secret = create_api_key(name="x", role="viewer", expires_at=timezone.now() + timedelta(hours=1))
    assert with_key(secret).status_code == 200
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert with_key(secret).status_code == 401
    admin = user_with("admin")
    _, secret = create_api_key(name="x", role="viewer", user=admin)
    admin.is_active = False
    admin.save()
    assert with_key(secret).status_code == 401


def test_a_key_may_no_more_than_its_maker_still_may() -> None:
    admin = user_with("admin")
    _, secret = create_api_key(name="x", role="admin", user=admin)
    assert with_key(secret, "post", "/api/databases").status_code == 400
    admin.groups.set([Group.objects.get(name="viewer")])
    assert with_key(secret).status_code == 200
    assert with_key(secret, "post", "/api/databases").status_code == 403


def test_use_is_noted_at_most_once_a_minute() -> None:
    key, secret = create_api_key(name="x", role="viewer")

    def used() -> Any:
        with_key(secret)
        return ApiKey.objects.get(pk=key.pk).last_used_at

    first = used()
    assert first is not None
    assert used() == first
    ApiKey.objects.update(last_used_at=timezone.now() - timedelta(seconds=61))
    assert used() > first


def test_a_session_needs_its_csrf_token(viewer: Any) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(user_with("admin"))
    assert client.get("/api/databases").status_code == 200
    assert client.post("/api/databases", {}, format="json").status_code == 403


def test_one_address_locks_nobody_out_everywhere(viewer: Any, settings: Any) -> None:
    """Whoever tries as often as may be for an hour, from one address."""
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": 1}
    both = subject_of("login", "both", LOGIN["username"], "203.0.113.9")
    guess = {**LOGIN, "password": "a guess"}
    for _ in range(13):
        for _ in range(10):
            assert post("/api/token", guess, **{"x-forwarded-for": "203.0.113.9"}).status_code == 401
        Quota.objects.filter(subject=both).delete()  # five minutes later
        Quota.objects.filter(subject=subject_of("login", "address", "203.0.113.9")).delete()
    assert post("/api/token", LOGIN, **{"x-forwarded-for": "198.51.100.1"}).status_code == 200


@pytest.mark.parametrize("address", ["2001:db8:1:2::{:x}", "192.0.2.1:{}", "[2001:db8:1:2::9]:{}"])
def test_who_has_many_addresses_of_one_network_guesses_as_slowly(viewer: Any, settings: Any, address: str) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": 1}
    guess = {**LOGIN, "password": "a guess"}
    for number in range(1, 11):
        post("/api/token", guess, **{"x-forwarded-for": address.format(number)})
    assert post("/api/token", LOGIN, **{"x-forwarded-for": address.format(77)}).status_code == 429
    assert post("/api/token", LOGIN, **{"x-forwarded-for": "2001:db8:1:3::1"}).status_code == 200


@pytest.mark.parametrize(("proxies", "status"), [(0, 429), (1, 200)])
def test_behind_a_proxy_one_who_guesses_does_not_lock_out_the_others(
    viewer: Any, settings: Any, proxies: int, status: int
) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": proxies}
    for _ in range(10):
        post("/api/token", {**LOGIN, "password": "a guess"}, **{"x-forwarded-for": "1.2.3.4, 203.0.113.9"})
    assert post("/api/token", LOGIN, **{"x-forwarded-for": "203.0.113.10"}).status_code == status
