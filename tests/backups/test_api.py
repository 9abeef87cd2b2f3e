"""Backups, restores and verifications over HTTP."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from backups.models import Backup, Restore, Verification
from backups.pipeline.keys import generate_identity
from jobs.fields import unseal
from jobs.models import LogLine
from tests.api import api, make_backup, make_database, make_destination

pytestmark = pytest.mark.django_db


@pytest.fixture
def backup() -> Backup:
    return make_backup(make_database(), destination=make_destination())


def code_of(answer: Any) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def test_a_backup_is_asked_for() -> None:
    make_destination()
    make_database()
    answer = api("operator").post("/api/backups", {"database_id": "shop", "label": "before the move"}, format="json")
    assert answer.status_code == 202
    body = answer.json()
    assert body["backup_id"] == body["id"]
    assert answer.headers["Location"] == f"/api/backups/{body['id']}"
    assert (body["status"], body["trigger"], body["type"]) == ("pending", "api", "full")
    assert (body["label"], body["progress"]["bytes_done"], body["error"], body["copies"]) == (
        "before the move",
        0,
        None,
        [],
    )
    assert Backup.objects.filter(requested_by__username="the-operator").exists()


def test_a_backup_can_be_asked_for_at_a_later_time() -> None:
    make_destination()
    make_database()
    body = {"database_id": "shop", "scheduled_at": "2099-01-01T00:00:00+02:00"}
    answer = api("operator").post("/api/backups", body, format="json").json()
    assert (answer["status"], answer["scheduled_at"]) == ("scheduled", "2098-12-31T22:00:00Z")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, (400, "invalid")),
        ({"database_id": "nowhere"}, (400, "invalid")),
        ({"database_id": 7}, (400, "invalid")),
        ({"database_id": "shop", "type": "half"}, (400, "invalid")),
        ({"database_id": "shop", "type": "incremental"}, (422, "unsupported")),
        ({"database_id": "shop", "type": "selective"}, (400, "invalid_selection")),
        ({"database_id": "shop", "include": ["a"]}, (400, "invalid_selection")),
        ({"database_id": "shop", "scheduled_at": "0001-01-01T00:00:00+14:00"}, (400, "invalid")),
        ({"database_id": "shop", "tables": ["a"]}, (400, "invalid")),
        ([], (400, "invalid")),
        ("shop", (400, "invalid")),
    ],
)
def test_a_request_that_cannot_be_is_refused(body: object, expected: tuple[int, str]) -> None:
    make_destination()
    make_database()
    assert code_of(api("operator").post("/api/backups", body, format="json")) == expected
    assert not Backup.objects.exists()


def test_a_disabled_database_is_a_conflict() -> None:
    make_destination()
    make_database(enabled=False)
    assert code_of(api().post("/api/backups", {"database_id": "shop"}, format="json")) == (409, "disabled")


def test_without_a_destination_it_says_so() -> None:
    make_database()
    answer = api().post("/api/backups", {"database_id": "shop"}, format="json")
    assert code_of(answer) == (422, "no_destination")
    assert answer.json()["hint"]


def test_it_shows_where_the_artefact_is(backup: Backup) -> None:
    shown = api("viewer").get(f"/api/backups/{backup.pk}").json()
    assert shown["path"] == f"shop/{backup.pk}-1.dump.zst"
    [copy] = shown["copies"]
    assert (copy["destination"], copy["status"], copy["verified_at"]) == ("local", "stored", None)
    assert (copy["id"], copy["key"], copy["size"]) == (backup.copies.get().pk, shown["path"], 10)
    assert shown["duration_s"] == pytest.approx(3)
    assert shown["created_at"].endswith("Z")


def test_it_shows_why_a_backup_failed() -> None:
    failed = make_backup(
        make_database(), status="failed", error_code="login", error_message="Wrong password.", error_hint="Change it."
    )
    error = api("viewer").get(f"/api/backups/{failed.pk}").json()["error"]
    assert error == {"code": "login", "message": "Wrong password.", "hint": "Change it."}


def test_the_list_is_filtered() -> None:
    shop, till = make_database("shop"), make_database("till")
    first = make_backup(shop, label="monthly", created_at="2026-01-01T00:00:00Z")
    second = make_backup(till, status="failed", trigger="schedule", created_at="2026-02-01T00:00:00Z")
    client = api("viewer")

    def ids(query: str) -> list[str]:
        return [row["id"] for row in client.get(f"/api/backups?{query}").json()["results"]]

    assert ids("") == [second.pk, first.pk]
    assert ids("database=shop") == [first.pk]
    assert ids("status=failed") == [second.pk]
    assert ids("status=failed&status=completed") == [second.pk, first.pk]
    assert ids("type=selective") == []
    assert ids("trigger=schedule") == [second.pk]
    assert ids("created_after=2026-01-15T00:00:00Z") == [second.pk]
    assert ids("created_before=2026-01-15T00:00:00Z") == [first.pk]
    assert ids("search=monthly") == [first.pk]
    assert ids("ordering=created_at") == [first.pk, second.pk]


@pytest.mark.parametrize(
    "query",
    [
        "status=half",
        "type=half",
        "created_after=yesterday",
        "created_after=0001-01-01T00:00:00%2B14:00",
        "created_after=9999-12-31T23:59:59-14:00",
        "ordering=secrets",
        "ordering=database__secrets",
        "page=0",
        "page=-1",
        "page=x",
        "page_size=0",
        "page_size=-5",
        "page_size=%D9%A1",
        "search=%00",
        "database=%00",
    ],
)
def test_a_query_that_cannot_be_is_refused(query: str) -> None:
    assert code_of(api("viewer").get(f"/api/backups?{query}"))[0] == 400


def test_pages_hold_fifty_rows_and_never_more_than_two_hundred() -> None:
    database = make_database()
    Backup.objects.bulk_create(Backup(database=database, database_name="Shop", engine="postgres") for _ in range(201))
    client = api("viewer")
    first = client.get("/api/backups").json()
    assert (first["count"], len(first["results"]), first["previous"]) == (201, 50, None)
    assert len(client.get("/api/backups?page_size=1000").json()["results"]) == 200
    assert client.get("/api/backups?page=2&page_size=200").json()["next"] is None
    assert client.get("/api/backups?page=99999999999999999999999").status_code == 404


def test_the_list_asks_a_constant_number_of_questions() -> None:
    database, destination = make_database(), make_destination()
    client = api("viewer")

    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert client.get("/api/backups").status_code == 200
        return len(asked)

    make_backup(database, destination=destination)
    first = queries()
    for _ in range(30):
        make_backup(database, destination=destination)
    assert queries() <= first


def test_the_last_backup_is_found_by_id_and_by_name(backup: Backup) -> None:
    failed = make_backup(backup.database, status="failed")
    client = api("viewer")
    assert client.get("/api/backups/shop/last").json()["id"] == failed.pk
    assert client.get("/api/backups/Shop/last").json()["id"] == failed.pk
    assert client.get("/api/backups/shop/last?status=completed").json()["id"] == backup.pk
    assert code_of(client.get("/api/backups/shop/last?status=cancelled")) == (404, "not_found")
    assert code_of(client.get("/api/backups/shop/last?status=half")) == (400, "invalid")
    assert code_of(client.get("/api/backups/other/last")) == (404, "not_found")


def test_the_last_backup_of_an_ambiguous_name_is_a_conflict(backup: Backup) -> None:
    make_database("other")
    assert code_of(api("viewer").get("/api/backups/Shop/last")) == (409, "ambiguous_name")


def test_the_last_backup_of_a_deleted_database_is_found(backup: Backup) -> None:
    client = api()
    client.delete("/api/databases/shop")
    assert client.get("/api/backups/shop/last").json()["id"] == backup.pk
    assert client.get("/api/backups/Shop/last").json()["id"] == backup.pk


def test_a_backup_is_labelled_and_locked(backup: Backup) -> None:
    client = api()
    changed = client.patch(f"/api/backups/{backup.pk}", {"label": "keep", "locked": True}, format="json").json()
    assert (changed["label"], changed["locked"]) == ("keep", True)
    refused = client.delete(f"/api/backups/{backup.pk}")
    assert code_of(refused) == (409, "wrong_state")
    assert refused.json()["state"] == "completed"


@pytest.mark.parametrize("body", [{"status": "failed"}, {"size": 1}, {"labels": "x"}, {"locked": "perhaps"}])
def test_nothing_else_of_a_backup_can_be_changed(backup: Backup, body: dict[str, object]) -> None:
    assert code_of(api().patch(f"/api/backups/{backup.pk}", body, format="json")) == (400, "invalid")


def test_a_waiting_backup_is_cancelled_once() -> None:
    make_destination()
    make_database()
    client = api("operator")
    made = client.post("/api/backups", {"database_id": "shop"}, format="json").json()["id"]
    answer = client.post(f"/api/backups/{made}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
    again = client.post(f"/api/backups/{made}/cancel")
    assert code_of(again) == (409, "wrong_state")
    assert again.json()["state"] == "cancelled"


@pytest.mark.parametrize("kind", ["verifications", "restores"])
def test_a_waiting_verification_or_restore_is_cancelled_once(backup: Backup, kind: str) -> None:
    client = api("operator")
    body = {"target_database_id": "shop", "confirm": "shop"} if kind == "restores" else {}
    action = "restore" if kind == "restores" else "verify"
    address = client.post(f"/api/backups/{backup.pk}/{action}", body, format="json").headers["Location"]
    assert code_of(api("viewer").post(f"{address}/cancel")) == (403, "permission_denied")
    LogLine.objects.create(
        job_kind=kind.removesuffix("s"), job_id=address.rpartition("/")[2], attempt=0, message="asked for"
    )
    log = api("viewer").get(f"{address}/log")
    assert (log.headers["Content-Type"], b"asked for" in log.content) == ("text/plain; charset=utf-8", True)
    answer = client.post(f"{address}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
    assert code_of(client.post(f"{address}/cancel")) == (409, "wrong_state")


def test_a_verification_is_asked_for(backup: Backup) -> None:
    client = api("operator")
    answer = client.post(f"/api/backups/{backup.pk}/verify")
    assert answer.status_code == 202
    run = Verification.objects.get()
    assert answer.headers["Location"] == f"/api/verifications/{run.pk}"
    shown = client.get(f"/api/verifications/{run.pk}").json()
    assert (shown["backup_id"], shown["status"], shown["report"]) == (backup.pk, "pending", {})
    assert client.get(f"/api/verifications?backup={backup.pk}").json()["count"] == 1


def test_a_restore_is_asked_for_and_its_identity_is_kept_sealed(backup: Backup) -> None:
    make_database("copy", name="Copy")
    identity, _ = generate_identity()
    body = {"target_database_id": "copy", "confirm": "copy", "drop_existing": True, "identity": identity}
    client = api("operator")
    answer = client.post(f"/api/backups/{backup.pk}/restore", body, format="json")
    assert answer.status_code == 202
    restore = Restore.objects.get()
    assert answer.headers["Location"] == f"/api/restores/{restore.pk}"
    shown = client.get(f"/api/restores/{restore.pk}")
    assert shown.json()["target_database_id"] == "copy"
    assert shown.json()["drop_existing"] is True
    assert identity not in answer.content.decode() + shown.content.decode()
    assert unseal(restore.identity) == identity


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"target_database_id": "copy"}, (400, "invalid")),
        ({"target_database_id": "copy", "confirm": "shop"}, (400, "unconfirmed")),
        ({"target_database_id": "nowhere", "confirm": "nowhere"}, (400, "invalid")),
        ({"target_database_id": "lake", "confirm": "lake"}, (422, "engine_mismatch")),
        ({"target_database_id": "copy", "confirm": "copy", "identity": "age1"}, (400, "invalid")),
        ({"target_database_id": "copy", "confirm": "copy", "drop_existing": "perhaps"}, (400, "invalid")),
    ],
)
def test_a_restore_that_cannot_be_is_refused(backup: Backup, body: dict[str, Any], expected: tuple[int, str]) -> None:
    make_database("copy")
    make_database("lake", engine="mongodb")
    assert code_of(api("operator").post(f"/api/backups/{backup.pk}/restore", body, format="json")) == expected
    assert not Restore.objects.exists()


def test_a_failed_backup_is_neither_verified_nor_restored() -> None:
    failed = make_backup(make_database(), status="failed")
    client = api("operator")
    assert code_of(client.post(f"/api/backups/{failed.pk}/verify")) == (409, "wrong_state")
    answer = client.post(
        f"/api/backups/{failed.pk}/restore", {"target_database_id": "shop", "confirm": "shop"}, format="json"
    )
    assert code_of(answer) == (409, "wrong_state")
    assert answer.json()["state"] == "failed"


def test_an_encrypted_backup_without_a_key_is_422(backup: Backup, settings: Any) -> None:
    settings.BACKUPSITE_AGE_IDENTITIES = []
    Backup.objects.update(encryption="age")
    body = {"target_database_id": "shop", "confirm": "shop"}
    assert code_of(api("operator").post(f"/api/backups/{backup.pk}/restore", body, format="json")) == (
        422,
        "missing_key",
    )


def test_the_log_is_text_and_the_manifest_is_json(backup: Backup) -> None:
    LogLine.objects.create(job_kind="backup", job_id=backup.pk, attempt=1, message="dumping")
    Backup.objects.update(manifest={"schema_version": 1})
    client = api("viewer")
    log = client.get(f"/api/backups/{backup.pk}/log", HTTP_ACCEPT="text/plain")
    assert log.headers["Content-Type"].startswith("text/plain")
    assert "dumping" in log.content.decode()
    assert client.get(f"/api/backups/{backup.pk}/manifest").json() == {"schema_version": 1}


@pytest.mark.parametrize("address", ["bkp_nowhere", "%00", "x" * 2000, "..%2f..", "%F0%9F%92%A3"])
def test_an_unknown_backup_is_404(address: str) -> None:
    assert code_of(api("viewer").get(f"/api/backups/{address}")) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "address", "weakest"),
    [
        ("get", "/api/backups", "viewer"),
        ("get", "/api/backups/{id}", "viewer"),
        ("get", "/api/backups/{id}/log", "viewer"),
        ("get", "/api/restores", "viewer"),
        ("get", "/api/verifications", "viewer"),
        ("post", "/api/backups", "operator"),
        ("post", "/api/backups/{id}/cancel", "operator"),
        ("post", "/api/backups/{id}/verify", "operator"),
        ("post", "/api/backups/{id}/restore", "operator"),
        ("post", "/api/backups/{id}/download-link", "operator"),
        ("get", "/api/backups/{id}/download", "operator"),
        ("patch", "/api/backups/{id}", "admin"),
        ("delete", "/api/backups/{id}", "admin"),
        ("post", "/api/databases", "admin"),
        ("patch", "/api/databases/shop", "admin"),
        ("delete", "/api/databases/shop", "admin"),
        ("post", "/api/databases/shop/check", "operator"),
        ("post", "/api/destinations", "admin"),
        ("post", "/api/destinations/local/check", "operator"),
        ("delete", "/api/destinations/local", "admin"),
        ("get", "/api/keys", "admin"),
    ],
)
def test_each_call_asks_for_its_role(backup: Backup, method: str, address: str, weakest: str) -> None:
    roles = ["nobody", "viewer", "operator", "admin"]
    for role in roles:
        answer = getattr(api(role), method)(address.format(id=backup.pk), {"?": 1}, format="json")
        assert (answer.status_code == 403) is (roles.index(role) < roles.index(weakest)), role
