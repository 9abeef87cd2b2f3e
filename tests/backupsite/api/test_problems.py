"""Errors are problems, whatever was sent; never a 500 for bad input."""

import json
from typing import Any

import pytest
from django.db import OperationalError
from rest_framework.test import APIClient

from backupsite.api import problems
from jobs.errors import BackupError
from tests.api import api, make_database

pytestmark = pytest.mark.django_db


def problem_of(answer: Any, status: int) -> Any:
    assert answer.status_code == status, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = json.loads(answer.content)
    assert {"type", "title", "status", "detail", "code"} <= set(body)
    assert body["status"] == status
    return body


def raw(content: bytes | str, content_type: str = "application/json") -> Any:
    return api().post("/api/databases", content, content_type=content_type)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"nul",
        b'{"name": NaN}',
        b'{"name": Infinity}',
        b'{"name": "a", "name": "b"}',
        b'{"name": "a\\u0000b"}',
        b'{"name": "\\ud800"}',
        b'{"\\u0000": 1}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"port": ' + b"9" * 5000 + b"}",
        b'{"options": {"a": ["\\u0000"]}}',
        b'"text"',
        b"[]",
        b"7",
        b"null",
        b"true",
    ],
)
def test_a_body_that_is_no_object_is_malformed(content: bytes) -> None:
    problem_of(raw(content), 400)


@pytest.mark.parametrize(
    "content",
    [b'{"name": "a\\u0000b"}', b'{"name": "\\ud800"}', b'{"\\u0000": 1}', b'{"options": {"a": ["\\u0000"]}}'],
)
def test_text_that_a_database_cannot_hold_is_found_wherever_it_is(content: bytes) -> None:
    assert problem_of(raw(content), 400)["code"] == "parse_error"


def test_a_huge_body_is_413() -> None:
    assert problem_of(raw(b'{"name": "' + b"a" * (1 << 20) + b'"}'), 413)["code"] == "too_large"


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "nonsense"]
)
def test_a_body_that_is_not_json_is_415(content_type: str) -> None:
    problem_of(raw(b"{}", content_type), 415)


def test_unknown_addresses_are_404_for_programs_and_for_people() -> None:
    for address in (
        "/api/nothing",
        "/nothing",
        "/api/backups/x/nothing",
        "/api/nowhere",
        "/api/packages/x/nothing",
        "/api/%ff",
    ):
        problem_of(APIClient().get(address), 404)
    assert "html" in APIClient().get("/admin/nothing", follow=True).headers["Content-Type"]


@pytest.mark.parametrize("method", ["put", "options", "delete", "trace"])
def test_a_method_that_is_not_there_is_405(method: str) -> None:
    answer = getattr(api(), method)("/api/databases")
    problem_of(answer, 405)
    assert answer.headers["Allow"] == "GET, HEAD, POST"


def test_every_fault_is_listed_at_once() -> None:
    body = problem_of(raw(json.dumps({"engine": "postgres", "port": 0, "nonsense": 1, "more": 2})), 400)
    assert {fault["field"] for fault in body["errors"]} >= {"nonsense", "more"}
    body = problem_of(raw(json.dumps({"engine": "postgres", "port": 0})), 400)
    assert {fault["field"] for fault in body["errors"]} == {"name", "port"}
    assert all(set(fault) == {"field", "message", "code"} for fault in body["errors"])
    body = problem_of(raw(json.dumps({"name": "x", "engine": "postgres", "schedule": "x", "timezone": "y"})), 400)
    assert {fault["field"] for fault in body["errors"]} >= {"schedule", "timezone", "host"}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BackupError("x", code="wrong_state", permanent=True), 409),
        (BackupError("x", code="unconfirmed", permanent=True), 400),
        (BackupError("x", code="something_new", permanent=True), 422),
        (BackupError("x", code="something_new"), 503),
        (OperationalError("secret dsn"), 503),
    ],
)
def test_expected_failures_have_their_status(error: Exception, status: int) -> None:
    answer = problems.handle_exception(error, {})
    assert answer is not None
    assert answer.status_code == status
    assert "secret" not in str(answer.data)
    assert ("Retry-After" in answer.headers) is (status == 503)


def test_a_defect_is_no_expected_failure() -> None:
    assert problems.handle_exception(KeyError("x"), {}) is None


def test_a_defect_shows_no_stack_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("databases.api.check_database", broken)
    make_database()
    client = api()
    client.raise_request_exception = False
    body = problem_of(client.post("/api/databases/shop/check"), 500)
    assert "secret" not in json.dumps(body)


def test_what_a_client_accepts_never_makes_an_error() -> None:
    client = api()
    for accept in ("application/xml", "text/csv", "nonsense", "image/*;q=0.1"):
        answer = client.get("/api/databases", headers={"accept": accept})
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")


def test_browsers_get_pages() -> None:
    client = APIClient()
    from tests.api import user_with

    client.force_login(user_with("admin"))
    answer = client.get("/api/databases", headers={"accept": "text/html"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert client.get("/api/databases/none", headers={"accept": "text/html"}).status_code == 404
