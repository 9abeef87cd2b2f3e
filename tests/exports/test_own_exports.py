"""What end users ask for over HTTP: exports are made, seen, fetched, cancelled and deleted by whose they are."""

import io
import json
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.models import Entry
from backups.models import Destination
from exports.models import Export, ExportObject, ExportPolicy
from exports.services.links import make_link
from exports.services.save_policy import save_export_policy
from jobs.models import Status
from tests.exports.signing import ORIGIN, User, code_of
from tests.room import finish
from tests.servers.records import RecordsServer

pytestmark = pytest.mark.django_db
LIST = "/api/backup"


def in_days(days: float) -> str:
    return (timezone.now() + timedelta(days=days)).isoformat()


def ask(user: User, **body: Any) -> Any:
    return user.post(LIST, {"backupType": "full", **body})


def made(user: User, **values: Any) -> Export:
    """A completed one that nothing is stored of."""
    now = timezone.now()
    given = {"status": Status.COMPLETED, "finished_at": now, "expires_at": now + timedelta(days=7), "size": 9}
    export = Export.objects.create(pubkey=user.pubkey, **{**given, **values})
    if export.status == Status.COMPLETED:
        make_link(export=export)
    return export


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("offered")
def test_an_export_goes_from_the_question_to_the_zip(records_service: RecordsServer) -> None:
    ada = User("ada")
    answer = ask(ada, metadata={"note": "für mich", "list": [1, {"a": None}]})
    assert answer.status_code == 201, answer.json()
    body = answer.json()
    assert set(body) == {"id", "status", "backupType", "requestedAt", "scheduledAt", "metadata"}
    assert (body["status"], body["backupType"], body["scheduledAt"]) == ("pending", "full", None)
    assert body["metadata"] == {"note": "für mich", "list": [1, {"a": None}]}
    assert answer.headers["Location"] == f"/api/backup/{body['id']}"

    waiting = ada.get(answer.headers["Location"]).json()
    assert set(waiting) == {
        *("id", "status", "backupType", "requested", "started", "completed", "scheduledAt"),
        *("resultUrl", "expires", "error", "metadata"),
    }
    nothing = [waiting[name] for name in ("started", "completed", "resultUrl", "expires", "error")]
    assert nothing == [None] * 5
    assert waiting["metadata"] == {**body["metadata"], "originalSize": None, "compressedSize": None, "fileCount": None}

    finish(Export.objects.get())
    done = ada.get(answer.headers["Location"])
    assert done.headers["Cache-Control"] == "no-store"
    shown = done.json()
    assert (shown["status"], shown["error"]) == ("completed", None)
    assert shown["metadata"]["fileCount"] == 4
    assert shown["metadata"]["originalSize"] > shown["metadata"]["compressedSize"] > 0
    assert shown["resultUrl"].startswith(f"{ORIGIN}/api/downloads/exports/")

    fetched: Any = ada.client.get(shown["resultUrl"].removeprefix(ORIGIN))
    archive = zipfile.ZipFile(io.BytesIO(b"".join(fetched.streaming_content)))
    assert set(archive.namelist()) == {"shop/posts.ndjson", "shop/orders.ndjson", "index.json", "README.txt"}
    assert len(archive.read("shop/posts.ndjson").splitlines()) == 300
    assert json.loads(archive.read("index.json"))["export"]["metadata"]["note"] == "für mich"
    assert {asked.query["user"] for asked in records_service.asked} == {ada.pubkey}

    listed = ada.get(LIST).json()
    assert listed["total"] == 1
    assert set(listed["jobs"][0]) == {"id", "status", "backupType", "requestedAt", "completedAt", "resultUrl"}
    assert listed["jobs"][0]["resultUrl"] == shown["resultUrl"]
    assert listed["jobs"][0]["completedAt"] == shown["completed"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("offered")
def test_a_selective_one_holds_what_was_selected() -> None:
    ada = User()
    answer = ask(ada, backupType="selective", metadata={"select": ["orders"]})
    assert answer.status_code == 201, answer.json()
    export = finish(Export.objects.get())
    assert export.status == Status.COMPLETED, export.error_message
    assert [file["name"] for file in export.manifest["index"]["files"]] == ["shop/orders.ndjson"]


@pytest.mark.usefixtures("offered")
def test_one_may_be_asked_for_ahead() -> None:
    answer = ask(User(), scheduledAt=in_days(29.9))
    assert (answer.status_code, answer.json()["status"]) == (201, "scheduled")
    assert answer.json()["scheduledAt"].endswith("Z")
    assert Export.objects.get().status == Status.SCHEDULED


@pytest.mark.usefixtures("offered")
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "backupType"), ({"backupType": "partial"}, "backupType"), ({"backupType": None}, "backupType"),
        ({"backupType": "full", "type": "full"}, "type"), ({"backupType": "full", "Metadata": {}}, "Metadata"),
        ({"backupType": "full", "scheduledAt": "tomorrow"}, "scheduledAt"),
        ({"backupType": "full", "scheduledAt": "2020-01-01T00:00:00Z"}, "scheduledAt"),
        ({"backupType": "full", "scheduledAt": "9999-12-31T23:59:59-14:00"}, "scheduledAt"),
        ({"backupType": "full", "scheduledAt": in_days(31)}, "scheduledAt"),
        ({"backupType": "full", "metadata": []}, "metadata"), ({"backupType": "full", "metadata": "x"}, "metadata"),
        ({"backupType": "full", "metadata": {"x": "y" * 8192}}, "metadata"),
        ({"backupType": "full", "metadata": {"1": {"2": {"3": {"4": {"5": {}}}}}}}, "metadata"),
        ({"backupType": "full", "metadata": {"1": [[[[[]]]]]}}, "metadata"),
        ({"backupType": "full", "metadata": {"select": ["posts"]}}, "metadata.select"),
        ({"backupType": "selective"}, "metadata.select"),
        ({"backupType": "selective", "metadata": {"select": ["secrets"]}}, "metadata.select"),
        ({"backupType": "selective", "metadata": {"select": [{}]}}, "metadata.select"),
        ({"backupType": "full", "metadata": {"recipient": "age1x"}}, "metadata.recipient"),
        ([], ""), ("full", ""), (7, ""),
    ],
)  # fmt: skip
def test_what_cannot_be_is_400_and_makes_nothing(body: Any, field: str) -> None:
    answer = User().post(LIST, body)
    assert code_of(answer) == (400, "invalid")
    assert field in [fault["field"] for fault in answer.json()["errors"]]
    assert not Export.objects.exists()


@pytest.mark.usefixtures("offered")
@pytest.mark.parametrize(
    "raw", [b'{"backupType": "full", "metadata": {"x": 1e999}}', b'{"backupType": "full", "backupType": "full"}', b"{"]
)
def test_a_body_that_is_no_sound_json_is_400(raw: bytes) -> None:
    user = User()
    answer = user.send("POST", LIST, user.header("POST", LIST, raw), raw)
    assert code_of(answer) == (400, "parse_error")


@pytest.mark.usefixtures("origin")
def test_a_body_without_bounds_is_413(settings: Any) -> None:
    user = User()
    for size in (2 << 20, settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1):
        raw = b" " * size
        assert code_of(user.send("POST", LIST, user.header("POST", LIST, raw), raw)) == (413, "too_large")


@pytest.mark.usefixtures("origin")
def test_another_media_type_and_another_method_are_refused() -> None:
    user, raw = User(), b"backupType=full"
    form = user.client.generic(
        "POST",
        LIST,
        raw.decode(),
        content_type="application/x-www-form-urlencoded",
        HTTP_AUTHORIZATION=user.header("POST", LIST, raw),
    )
    assert code_of(form) == (415, "unsupported_media_type")
    assert code_of(user.call("PUT", LIST)) == (405, "method_not_allowed")
    head = user.call("HEAD", LIST)
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.usefixtures("offered")
def test_metadata_may_be_as_large_and_as_deep_as_the_limits_say(settings: Any) -> None:
    settings.BACKUPSITE_EXPORT_METADATA_BYTES = 40
    for metadata, status in (({"x": "é" * 16}, 201), ({"x": "é" * 17}, 400), ({"a": {"b": {"c": {"d": []}}}}, 201)):
        assert ask(User(), metadata=metadata).status_code == status


@pytest.mark.usefixtures("offered")
def test_open_exports_and_bytes_of_one_user_are_bounded() -> None:
    save_export_policy(values={"max_open": 2, "max_bytes": 100})
    ada = User("ada")
    assert [ask(ada).status_code for _ in range(2)] == [201, 201]
    assert code_of(ask(ada)) == (409, "too_many_open")
    assert ask(User("bob")).status_code == 201
    Export.objects.filter(pubkey=ada.pubkey).update(status=Status.COMPLETED, size=60)
    assert code_of(ask(ada)) == (409, "quota_full")
    stored = [
        ExportObject.objects.create(export=export, destination=Destination.objects.get(), key=export.pk, attempt=1)
        for export in Export.objects.filter(pubkey=ada.pubkey)
    ]
    Export.objects.filter(pubkey=ada.pubkey).update(status=Status.DELETING)  # and nothing can be deleted there
    assert code_of(ask(ada)) == (409, "quota_full")
    stored[0].delete()
    assert ask(ada).status_code == 201


@pytest.mark.usefixtures("origin")
def test_what_is_not_offered_is_said() -> None:
    assert code_of(ask(User())) == (422, "no_sources")
    ExportPolicy.objects.create(enabled=False)
    assert code_of(ask(User())) == (403, "exports_disabled")


@pytest.mark.usefixtures("origin")
def test_others_exports_are_not_there() -> None:
    ada, bob = User("ada"), User("bob")
    export = made(bob)
    one = f"{LIST}/{export.pk}"
    answers = [ada.get(one), ada.delete(one), ada.post(f"{one}/cancel"), ada.post(f"{one}/revoke-link")]
    assert {code_of(answer) for answer in answers} == {(404, "not_found")}
    assert bob.get(one).json()["status"] == "completed"


@pytest.mark.usefixtures("origin")
@pytest.mark.parametrize("pk", ["x", "1", "..", "%00", "0" * 36, "7b6ff0e2-0d4c-4a9e-8f9f-d84a0b1c9a1", "A" * 8])
def test_an_id_that_cannot_be_one_is_404(pk: str) -> None:
    answer = User().get(f"{LIST}/{pk}")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.usefixtures("origin")
def test_the_list_is_bounded_and_the_newest_come_first() -> None:
    ada = User()
    Export.objects.bulk_create(
        Export(pubkey=ada.pubkey, created_at=timezone.now() + timedelta(seconds=number)) for number in range(103)
    )
    ids = list(Export.objects.order_by("-created_at").values_list("pk", flat=True))

    def listed(query: str) -> list[str]:
        body = ada.get(f"{LIST}{query}").json()
        assert body["total"] == 103
        return [job["id"] for job in body["jobs"]]

    assert listed("") == ids[:50]
    assert listed("?limit=2") == ids[:2]
    assert listed("?limit=1000") == ids[:100]
    for wrong in ("0", "-1", "x", "1.5", "", "%C2%B2"):
        assert code_of(ada.get(f"{LIST}?limit={wrong}")) == (400, "invalid")


@pytest.mark.usefixtures("origin")
def test_a_list_asks_a_constant_number_of_questions() -> None:
    ada = User()

    def questions() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert ada.get(LIST).status_code == 200
        return len(asked)

    made(ada)
    questions()  # the first one begins the counts of the window
    few = questions()
    for _ in range(5):
        made(ada)
    assert questions() == few


@pytest.mark.usefixtures("origin")
def test_a_waiting_one_is_cancelled_and_an_ended_one_is_not() -> None:
    ada = User()
    export = Export.objects.create(pubkey=ada.pubkey)
    answer = ada.post(f"{LIST}/{export.pk}/cancel")
    assert (answer.status_code, answer.json()["status"], answer.json()["error"]) == (202, "cancelled", None)
    again = ada.post(f"{LIST}/{export.pk}/cancel")
    assert code_of(again) == (409, "wrong_state")
    assert again.json()["state"] == "cancelled"


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("offered")
def test_a_deleted_one_is_gone_with_its_object_and_its_link() -> None:
    ada = User()
    pk = ask(ada).json()["id"]
    export = finish(Export.objects.get())
    address = ada.get(f"{LIST}/{pk}").json()["resultUrl"].removeprefix(ORIGIN)
    stored = export.objects_stored.select_related("destination").get()
    file = Path(stored.destination.path) / stored.key
    assert file.read_bytes().startswith(b"PK")
    answer = ada.delete(f"{LIST}/{pk}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert code_of(ada.get(f"{LIST}/{pk}")) == (404, "not_found")
    assert ada.client.get(address).status_code in (404, 410)
    assert not Export.objects.exists()
    assert not file.exists()


@pytest.mark.usefixtures("origin")
def test_a_failed_one_says_why_without_telling_of_the_operator_s_hosts() -> None:
    ada = User()
    told = made(ada, status=Status.FAILED, error_code="too_large", error_message="There is more than 5 bytes of data.")
    other = made(ada, status=Status.FAILED, error_code="unreachable", error_message="GET http://10.0.0.7/x failed.")
    assert ada.get(f"{LIST}/{told.pk}").json()["error"] == {
        "code": "too_large",
        "message": "There is more than 5 bytes of data.",
    }
    error = ada.get(f"{LIST}/{other.pk}").json()["error"]
    assert error["code"] == "unreachable"
    assert error["message"] and "10.0.0.7" not in error["message"]


@pytest.mark.usefixtures("origin")
def test_past_its_time_it_is_expired_before_the_sweeper_has_come_by() -> None:
    ada = User()
    export = made(ada, expires_at=timezone.now() - timedelta(seconds=1))
    shown = ada.get(f"{LIST}/{export.pk}").json()
    assert (shown["status"], shown["resultUrl"]) == ("expired", None)
    assert shown["completed"] is not None
    assert code_of(ada.post(f"{LIST}/{export.pk}/revoke-link")) == (409, "wrong_state")


@pytest.mark.usefixtures("origin")
def test_the_audit_keeps_nothing_of_end_users() -> None:
    ada = User()
    export = made(ada)
    ada.post(f"{LIST}/{export.pk}/revoke-link")
    ada.delete(f"{LIST}/{export.pk}")
    ada.post(LIST, {})
    assert not Entry.objects.exists()
