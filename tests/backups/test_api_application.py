"""The routes of a single-application deployment."""

import time
from datetime import UTC, datetime
from threading import BoundedSemaphore
from typing import Any

import pytest

from backups.models import Backup, Copy
from backups.services import request_all
from databases.models import Database, Policy
from jobs.models import Status
from tests.api import api, make_backup, make_database, make_destination
from tests.live import busy

pytestmark = pytest.mark.django_db
START = {"trigger": {"app", "images"}, "database": {"app"}, "images": {"images"}}


@pytest.fixture(autouse=True)
def _application() -> None:
    make_destination()
    make_database("app")
    make_database("images", engine="s3", options={"bucket": "images"})
    make_database("off", enabled=False)


@pytest.mark.parametrize("route", START)
@pytest.mark.parametrize("mount", ["/api/backup", "/backup"])
def test_it_backs_up_what_the_route_names(route: str, mount: str) -> None:
    answer = api("operator").post(f"{mount}/{route}")
    assert answer.status_code == 202
    body = answer.json()
    assert (body["success"], body["duration"], body["message"]) == (None, None, "Backup started")
    assert set(Backup.objects.filter(pk__in=body["backups"]).values_list("database", flat=True)) == START[route]


def test_it_waits_no_longer_than_asked() -> None:
    assert api().post("/api/backup/trigger?wait=1").status_code == 202


def test_it_waits_for_nobody_where_many_wait_already(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_all, "_seats", BoundedSemaphore(1))
    with request_all._seats:
        began = time.monotonic()
        assert api().post("/api/backup/trigger?wait=20").status_code == 202
        assert time.monotonic() - began < 5 * busy()
    assert request_all._seats.acquire(blocking=False)


def test_what_has_ended_is_told_with_what_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(*, backup: Any) -> None:
        failed = backup.database_id == "images"
        state = {"status": Status.FAILED, "error_message": "no bucket"} if failed else {"status": Status.COMPLETED}
        Backup.objects.filter(pk=backup.pk).update(**state)

    monkeypatch.setattr("backups.services.request.ring", lambda backup: end(backup=backup))
    body = api().post("/api/backup/trigger?wait=5").json()
    assert (body["success"], body["message"]) == (False, "Backup failed: Shop: no bucket")
    assert body["duration"] < 5
    assert api().post("/api/backup/database?wait=5").json()["success"] is True


@pytest.mark.parametrize("wait", ["-1", "61", "soon", "1.5", "²"])
def test_a_wait_that_is_none_is_refused(wait: str) -> None:
    answer = api().post(f"/api/backup/trigger?wait={wait}")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "wait")
    assert not Backup.objects.exists()


def test_with_an_idempotency_key_it_starts_one_backup_of_each_and_does_not_wait() -> None:
    first, second = (api().post("/api/backup/trigger?wait=5", headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert first.json()["backups"] == second.json()["backups"]
    assert Backup.objects.count() == 2


def test_where_there_is_nothing_of_the_kind_it_says_so() -> None:
    Database.objects.filter(engine="s3").delete()
    answer = api().post("/api/backup/images")
    assert (answer.status_code, answer.json()["code"]) == (422, "nothing_to_back_up")


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("operator", 202)])
def test_who_may_start_it(role: str, status: int) -> None:
    assert api(role).post("/api/backup/trigger").status_code == status


def test_the_status_groups_what_is_stored_by_day_in_a_constant_number_of_queries(
    django_assert_max_num_queries: Any,
) -> None:
    Policy.objects.create(retention_days=30)
    destination = make_destination("/there", "there", is_default=False)
    for day in (3, 4):
        for name in ("app", "images"):
            ended = datetime(2026, 3, day, 2, tzinfo=UTC)
            make_backup(Database.objects.get(pk=name), destination=destination, finished_at=ended)
    lost = make_backup(Database.objects.get(pk="app"), destination=destination)
    Copy.objects.filter(backup=lost).update(state=Copy.State.QUARANTINED)
    make_backup(Database.objects.get(pk="app"), status=Status.FAILED)
    viewer = api("viewer")
    with django_assert_max_num_queries(4):
        body = viewer.get("/api/backup/status").json()
    assert (body["success"], body["totalBackups"], body["retentionDays"]) == (True, 4, 30)
    assert list(body["backupGroups"]) == ["2026-03-04", "2026-03-03"]
    assert {item["type"] for item in body["backupGroups"]["2026-03-03"]} == {"database", "images"}
    assert set(body["backupGroups"]["2026-03-03"][0]) == {"key", "size", "lastModified", "type"}


@pytest.mark.parametrize("body", ['{"a": [1,', "[]", '{"x": 1}', '"all"'])
@pytest.mark.parametrize("route", START)
def test_a_body_that_means_something_else_starts_nothing(route: str, body: str) -> None:
    answer = api().post(f"/api/backup/{route}", body, content_type="application/json")
    assert answer.status_code == 400
    assert not Backup.objects.exists()


def test_an_empty_object_is_no_body() -> None:
    assert api().post("/api/backup/trigger", {}, format="json").status_code == 202
