"""Exports, their policy and their sources as operators have them over HTTP."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backups.models import Destination
from exports.models import Export, ExportPolicy, Source
from jobs.fields import unseal
from jobs.models import Status
from tests.api import api
from tests.exports.signing import User, code_of
from tests.servers.records import RecordsServer

pytestmark = pytest.mark.django_db
EXPORTS, POLICY, SOURCES = "/api/exports", "/api/export-policy", "/api/export-sources"
ADA, BOB = User("ada"), User("bob")


def make(user: User, **values: Any) -> Export:
    given = {"metadata": {"note": "between us"}, "select": ["diary"], "manifest": {"index": {"files": ["letters"]}}}
    return Export.objects.create(pubkey=user.pubkey, **{**given, **values})


def test_an_export_is_shown_without_its_content() -> None:
    export = make(ADA, status=Status.COMPLETED, size=10, original_size=20, file_count=3, recipients=["age1x"])
    answer = api("viewer").get(f"{EXPORTS}/{export.pk}")
    shown = answer.json()
    assert (shown["pubkey"], shown["type"], shown["status"], shown["size"]) == (ADA.pubkey, "full", "completed", 10)
    assert shown["encrypted"] is True
    assert not {"metadata", "select", "manifest", "recipients", "links"} & set(shown)
    assert not any(secret in answer.content.decode() for secret in ("between us", "diary", "letters", "age1x"))


def test_the_list_is_filtered() -> None:
    first = make(ADA, status=Status.FAILED)
    second = make(BOB, type=Export.Type.INCREMENTAL, created_at=timezone.now() + timedelta(days=1))
    client = api("viewer")

    def ids(query: str) -> list[str]:
        return [row["id"] for row in client.get(f"{EXPORTS}?{query}").json()["results"]]

    assert ids("") == [second.pk, first.pk]
    assert ids("ordering=created_at") == [first.pk, second.pk]
    assert ids(f"pubkey={ADA.pubkey}") == ids("status=failed") == ids("type=full") == [first.pk]
    assert ids(f"search={BOB.pubkey[:12]}") == [second.pk]
    assert ids(f"created_after={(timezone.now() + timedelta(hours=1)):%Y-%m-%dT%H:%M:%SZ}") == [second.pk]
    assert code_of(client.get(f"{EXPORTS}?status=lost"))[0] == 400


def test_a_list_asks_a_constant_number_of_questions() -> None:
    client = api("viewer")

    def questions() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert client.get(EXPORTS).status_code == 200
        return len(asked)

    make(ADA)
    questions()  # the first one reads the caller's role
    few = questions()
    for _ in range(5):
        make(BOB)
    assert questions() == few


def test_an_operator_cancels_and_an_admin_deletes() -> None:
    export = make(ADA)
    assert code_of(api("viewer").post(f"{EXPORTS}/{export.pk}/cancel")) == (403, "permission_denied")
    answer = api("operator").post(f"{EXPORTS}/{export.pk}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
    assert code_of(api("operator").post(f"{EXPORTS}/{export.pk}/cancel")) == (409, "wrong_state")
    assert code_of(api("operator").delete(f"{EXPORTS}/{export.pk}")) == (403, "permission_denied")
    assert api("admin").delete(f"{EXPORTS}/{export.pk}").status_code == 204
    assert code_of(api("admin").get(f"{EXPORTS}/{export.pk}")) == (404, "not_found")


def test_its_log_can_be_read() -> None:
    assert api("viewer").get(f"{EXPORTS}/{make(ADA).pk}/log").status_code == 200


def test_without_credentials_nothing_is_shown() -> None:
    for address in (EXPORTS, POLICY, SOURCES):
        assert code_of(User().client.get(address)) == (401, "not_authenticated")


def test_the_policy_is_read_and_changed() -> None:
    shown = api("viewer").get(POLICY).json()
    limits = [
        shown[name] for name in ("enabled", "creations_per_hour", "queries_per_quarter", "link_days", "destination")
    ]
    assert limits == [True, 10, 100, 7, None]
    assert shown["redirect_to_store"] is False
    assert code_of(api("operator").patch(POLICY, {"max_open": 5}, format="json")) == (403, "permission_denied")
    answer = api("admin").patch(POLICY, {"max_open": 5, "max_bytes": 0}, format="json")
    assert (answer.status_code, answer.json()["max_open"], answer.json()["max_bytes"]) == (200, 5, 0)
    assert ExportPolicy.objects.get().creations_per_hour == 10


def test_the_policy_names_a_destination(disk: Destination) -> None:
    client = api("admin")
    assert client.patch(POLICY, {"destination": "disk"}, format="json").json()["destination"] == "disk"
    assert client.patch(POLICY, {"destination": None}, format="json").json()["destination"] is None
    assert code_of(client.patch(POLICY, {"destination": "nowhere"}, format="json")) == (400, "invalid")


@pytest.mark.parametrize(
    "body",
    [
        {"creations_per_hour": 0}, {"queries_per_quarter": -1}, {"max_open": 0}, {"link_days": 0}, {"link_days": 366},
        {"max_bytes": -1}, {"max_bytes": 1 << 63}, {"enabled": "perhaps"}, {"unknown": 1}, {"kept_days": 10**9}, [],
    ],
)  # fmt: skip
def test_a_policy_that_cannot_be_is_refused(body: object) -> None:
    assert code_of(api("admin").patch(POLICY, body, format="json")) == (400, "invalid")
    assert not ExportPolicy.objects.exists()


def source(url: str, **values: Any) -> dict[str, Any]:
    options = {
        "url": f"{url}/list/{{collection}}?user={{pubkey}}",
        "collection": "posts",
        "auth": "bearer",
        "token": "hush-hush",
    }
    return {"id": "shop", "name": "Shop", "kind": "http", "options": options, **values}


def test_a_source_is_made_and_its_secrets_are_not_shown(records_service: RecordsServer) -> None:
    client = api("admin")
    answer = client.post(SOURCES, source(records_service.url), format="json")
    assert answer.status_code == 201, answer.json()
    assert answer.headers["Location"] == f"{SOURCES}/shop"
    assert "hush" not in answer.content.decode()
    shown = api("viewer").get(f"{SOURCES}/shop").json()
    assert (shown["has_password"], shown["secret_options"]) == (False, ["token"])
    assert shown["options"] == {
        "url": f"{records_service.url}/list/{{collection}}?user={{pubkey}}",
        "collection": "posts",
        "auth": "bearer",
    }
    assert unseal(Source.objects.get().secrets)["options"] == {"token": "hush-hush"}


def test_a_source_is_changed_and_what_is_left_out_stays(records_service: RecordsServer) -> None:
    client = api("admin")
    client.post(SOURCES, source(records_service.url), format="json")
    options = {key: value for key, value in source(records_service.url)["options"].items() if key != "token"}
    body = {"name": "The shop", "enabled": False, "options": {**options, "collection": "posts, orders"}}
    answer = client.patch(f"{SOURCES}/shop", body, format="json")
    assert (answer.status_code, answer.json()["name"], answer.json()["enabled"]) == (200, "The shop", False)
    assert answer.json()["secret_options"] == ["token"]
    basic = {"options": {**options, "auth": "basic", "token": ""}, "username": "ada", "password": "hush"}
    answer = client.patch(f"{SOURCES}/shop", basic, format="json")
    assert (answer.json()["has_password"], answer.json()["secret_options"]) == (True, [])
    assert "hush" not in answer.content.decode()
    assert code_of(client.patch(f"{SOURCES}/shop", {"id": "other"}, format="json")) == (400, "invalid")
    assert code_of(api("operator").patch(f"{SOURCES}/shop", {}, format="json")) == (403, "permission_denied")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": "carrier pigeon"}, "kind"), ({"id": "Not A Slug"}, "id"), ({"name": ""}, "name"),
        ({"options": {"url": "https://a.example.com/all"}}, "options.url"),
        ({"options": {"url": "https://{pubkey}.example.com/"}}, "options.url"),
        ({"options": {"address": "x"}}, "options.address"), ({"unknown": 1}, "unknown"),
    ],
)  # fmt: skip
def test_a_source_that_cannot_be_is_refused(changes: dict[str, Any], field: str) -> None:
    answer = api("admin").post(SOURCES, source("https://a.example.com", **changes), format="json")
    assert code_of(answer) == (400, "invalid")
    assert field in [fault["field"] for fault in answer.json()["errors"]]
    assert not Source.objects.exists()


def test_an_id_is_given_or_made_and_taken_once() -> None:
    client = api("admin")
    body = {key: value for key, value in source("https://a.example.com").items() if key != "id"}
    made = client.post(SOURCES, body, format="json")
    assert made.json()["id"].startswith("src_"), made.json()
    assert client.post(SOURCES, source("https://a.example.com"), format="json").status_code == 201
    assert code_of(client.post(SOURCES, source("https://a.example.com"), format="json")) == (409, "id_taken")
    assert client.delete(f"{SOURCES}/shop").status_code == 204
    assert Source.objects.count() == 1


def test_a_source_is_checked(records_service: RecordsServer) -> None:
    records_service.token = "hush-hush"
    records_service.fill("posts", [])
    api("admin").post(SOURCES, source(records_service.url), format="json")
    assert code_of(api("viewer").post(f"{SOURCES}/shop/check")) == (403, "permission_denied")
    good = api("operator").post(f"{SOURCES}/shop/check")
    assert (good.status_code, good.json()["ok"]) == (200, True), good.json()
    records_service.token = "another"
    bad = api("operator").post(f"{SOURCES}/shop/check")
    assert (bad.status_code, bad.json()["ok"]) == (200, False)
    assert bad.json()["code"]


def test_a_page_of_another_origin_may_ask_only_where_it_is_configured(origin: str, settings: Any) -> None:
    settings.BACKUPSITE_EXPORT_PAGES = ["https://app.example.com"]
    asks = {"HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST", "HTTP_ACCESS_CONTROL_REQUEST_HEADERS": "authorization"}

    def may(address: str, page: str, **more: str) -> Any:
        ask: Any = ADA.client.generic
        return ask("OPTIONS", address, HTTP_ORIGIN=page, **more)

    first = may("/api/backup", "https://app.example.com", **asks)
    assert first.status_code == 204
    assert first.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert "Authorization" in first.headers["Access-Control-Allow-Headers"]
    assert "DELETE" in first.headers["Access-Control-Allow-Methods"]
    assert "Access-Control-Allow-Credentials" not in first.headers
    for address, page in (("/api/backup", "https://evil.example.com"), ("/api/databases", "https://app.example.com")):
        refused = may(address, page, **asks)
        assert refused.status_code in (401, 405)
        assert "Access-Control-Allow-Origin" not in refused.headers

    given = ADA.get("/api/backup", HTTP_ORIGIN="https://app.example.com")
    assert given.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert "RateLimit-Remaining" in given.headers["Access-Control-Expose-Headers"]
    assert "Origin" in given.headers["Vary"]
    wrong = ADA.send("GET", "/api/backup", "Nostr x", HTTP_ORIGIN="https://app.example.com")
    assert wrong.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert "Access-Control-Allow-Origin" not in ADA.get("/api/backup", HTTP_ORIGIN="https://evil.example.com").headers
    assert "Access-Control-Allow-Origin" not in ADA.get("/api/backup").headers
