"""The same POST twice starts one job."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from backups.models import Backup, Verification
from backupsite.api.idempotency import forget_old_keys
from backupsite.api.models import IdempotencyKey
from backupsite.api.services.api_keys import create_api_key
from tests.api import api, make_backup, make_database, make_destination

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _shop() -> None:
    make_destination()
    make_database()


def ask(client: APIClient, key: str = "k1", address: str = "/api/backups", **body: Any) -> Any:
    return client.post(address, {"database_id": "shop", **body}, format="json", headers={"idempotency-key": key})


def test_the_same_key_and_body_answer_the_same_job() -> None:
    client = api("operator")
    first, second = ask(client), ask(client)
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() == second.json()
    assert first.headers["Location"] == second.headers["Location"]
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert Backup.objects.count() == 1


def test_neither_the_mount_nor_white_space_makes_another_request() -> None:
    client = api("operator")
    first = ask(client).json()["id"]
    assert ask(client, address="/backups/").json()["id"] == first
    raw = client.post(
        "/api/backups", '{ "database_id" : "shop" }', content_type="application/json", headers={"idempotency-key": "k1"}
    )
    assert raw.json()["id"] == first


def test_the_same_key_with_another_body_is_a_conflict() -> None:
    client = api("operator")
    ask(client)
    answer = ask(client, label="other")
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_conflict")
    assert Backup.objects.count() == 1


def test_another_key_another_user_and_no_key_start_another_job() -> None:
    client = api("operator")
    ask(client)
    ask(client, "k2")
    ask(api("admin"))
    client.post("/api/backups", {"database_id": "shop"}, format="json")
    _, secret = create_api_key(name="x", role="operator")
    program = APIClient(headers={"authorization": f"Api-Key {secret}"})
    ask(program)
    assert ask(program).headers["Idempotency-Replayed"] == "true"
    assert Backup.objects.count() == 5


def test_a_refused_request_is_not_remembered() -> None:
    client = api("operator")
    assert ask(client, type="incremental").status_code == 422
    assert not IdempotencyKey.objects.exists()
    assert ask(client).status_code == 202


def test_after_a_day_the_key_is_new() -> None:
    client = api("operator")
    first = ask(client).json()["id"]
    IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(hours=24, seconds=1))
    assert ask(client).json()["id"] != first
    assert forget_old_keys() == 0
    IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(hours=24, seconds=1))
    assert forget_old_keys() == 1


def test_it_holds_for_every_post_that_starts_a_job() -> None:
    backup = make_backup(make_database("till"))
    client = api("operator")
    for _ in range(2):
        assert client.post(f"/api/backups/{backup.pk}/verify", headers={"idempotency-key": "v"}).status_code == 202
    assert Verification.objects.count() == 1


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "a\tb", "ü"])
def test_a_key_that_cannot_be_is_refused(key: str) -> None:
    assert ask(api("operator"), key).status_code == 400


@pytest.mark.django_db(transaction=True)
def test_two_at_the_same_moment_start_one_job() -> None:
    client = api("operator")

    def both(_: int) -> Any:
        try:
            return ask(client)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(both, range(16)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert Backup.objects.count() == 1
