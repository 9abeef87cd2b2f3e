"""Packages and their policy over HTTP."""

import hashlib
from base64 import b64encode
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core import signing
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from backups.models import Destination
from databases.models import Database
from jobs.models import Status
from packages.models import Package, PackageCopy, PackageMember, PackagePolicy
from tests.api import api, make_backup, make_database, make_destination
from tests.packages.conftest import Store, pack
from tests.room import s3_destination
from tests.servers.s3 import S3Server

pytestmark = pytest.mark.django_db


def code_of(answer: Any) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


@pytest.fixture
def packaged() -> Database:
    """A Database that is packaged, with a completed backup."""
    destination, database = make_destination(), make_database(package=True)
    make_backup(database, destination=destination)
    return database


@pytest.fixture
def package(store: Store) -> Package:
    """A completed one."""
    store("shop", bytes(range(256)) * 10_000)
    found = pack()
    assert found.status == Status.COMPLETED, found.error_message
    return found


def ask(body: object, role: str = "operator", **headers: str) -> Any:
    return api(role).post("/api/packages/create", body, format="json", headers=headers)


@pytest.mark.parametrize("root", ["/api", ""])
def test_a_package_is_asked_for(packaged: Database, root: str) -> None:
    answer = api("operator").post(f"{root}/packages/create", {}, format="json")
    assert answer.status_code == 202
    body = answer.json()
    assert answer.headers["Location"] == f"/api/packages/{body['id']}"
    assert (body["status"], body["trigger"], body["compression"], body["on_missing"]) == (
        *("pending", "api"),
        *("zip", "skip"),
    )
    assert (body["databases"], body["size"], body["path"], body["error"]) == ([], None, None, None)
    assert Package.objects.filter(requested_by__username="the-operator").exists()


def test_it_takes_databases_and_how(packaged: Database) -> None:
    Database.objects.update(package=False)
    body = ask({"databases": ["shop", "shop"], "compression": "tar.gz", "on_missing": "fail"}).json()
    assert (body["databases"], body["compression"], body["on_missing"]) == (["shop"], "tar.gz", "fail")


def test_the_same_key_asks_once(packaged: Database) -> None:
    first, again = (ask({}, **{"idempotency-key": "nightly"}) for _ in range(2))
    assert first.json()["id"] == again.json()["id"]
    assert Package.objects.count() == 1
    assert code_of(ask({"compression": "zip"}, **{"idempotency-key": "nightly"})) == (409, "idempotency_conflict")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"databases": ["nowhere"]}, (400, "invalid")),
        ({"databases": "shop"}, (400, "invalid")),
        ({"databases": [7, None]}, (400, "invalid")),
        ({"compression": "rar"}, (400, "invalid")),
        ({"on_missing": "ignore"}, (400, "invalid")),
        ({"unknown": 1}, (400, "invalid")),
        ([], (400, "invalid")),
    ],
)
def test_a_request_that_cannot_be_is_refused(packaged: Database, body: object, expected: tuple[int, str]) -> None:
    assert code_of(ask(body)) == expected
    assert not Package.objects.exists()


def test_nothing_to_package_is_said() -> None:
    make_destination()
    assert code_of(ask({})) == (422, "nothing_to_package")
    make_database(package=True)
    answer = ask({})
    assert code_of(answer) == (422, "nothing_to_package")
    assert answer.json()["hint"]


def test_without_a_destination_it_says_so() -> None:
    make_backup(make_database(package=True))
    assert code_of(ask({})) == (422, "no_destination")


def test_folders_of_several_hosts_are_refused(packaged: Database) -> None:
    Destination.objects.update(queue="one")
    other = make_destination(pk="other", is_default=False, queue="two")
    make_backup(make_database("till", package=True), destination=other)
    assert code_of(ask({})) == (422, "several_hosts")
    assert ask({"databases": ["shop"]}).status_code == 202
    assert Package.objects.get().queue == "one"


def test_it_shows_what_is_in_it(package: Package) -> None:
    shown = api("viewer").get(f"/api/packages/{package.pk}").json()
    assert shown["status"] == "completed"
    assert shown["path"] == package.copies.get().key
    assert shown["copies"] == [{"destination": "disk", "status": "stored"}]
    member = shown["members"][0]
    assert (member["database_id"], member["size"], member["missing"]) == ("shop", 2_560_000, "")


def test_the_list_is_filtered_and_asks_a_constant_number_of_questions(package: Package) -> None:
    client = api("viewer")

    def ids(query: str) -> list[str]:
        return [row["id"] for row in client.get(f"/api/packages?{query}").json()["results"]]

    def questions() -> int:
        with CaptureQueriesContext(connection) as asked:
            ids("")
        return len(asked)

    questions()  # the first one asks for the role
    few = questions()
    for number in range(20):
        row = Package.objects.create(status=Status.FAILED, trigger="schedule", compression="tar.gz")
        PackageCopy.objects.create(package=row, destination_id="disk", attempt=1, key=f"k{number}")
        PackageMember.objects.create(package=row, position=0, database_id="till", database_name="Till")
    assert questions() == few
    assert ids("status=completed") == ids("trigger=manual") == ids("compression=zip") == [package.pk]
    assert ids("search=shop") == [package.pk]
    assert len(ids("search=till")) == 20


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("get", "", "viewer"),
        ("get", "/{id}", "viewer"),
        ("get", "/{id}/log", "viewer"),
        ("get", "/policy", "viewer"),
        ("post", "/create", "operator"),
        ("post", "/{id}/download-link", "operator"),
        ("get", "/{id}/download", "operator"),
        ("post", "/{id}/cancel", "operator"),
        ("patch", "/policy", "admin"),
        ("delete", "/{id}", "admin"),
    ],
)
def test_who_may(package: Package, method: str, path: str, role: str) -> None:
    roles = ["nobody", "viewer", "operator", "admin"]
    address = f"/api/packages{path.format(id=package.pk)}"
    for weaker in roles[: roles.index(role)]:
        assert getattr(api(weaker), method)(address, {}, format="json").status_code == 403
    assert getattr(APIClient(), method)(address).status_code == 401
    assert getattr(api(role), method)(address, {}, format="json").status_code not in (401, 403, 404, 405)


def test_what_is_not_there_is_404_and_create_is_no_id(packaged: Database) -> None:
    client = api()
    assert code_of(client.get("/api/packages/pkg_nothing")) == (404, "not_found")
    assert client.get("/api/packages/create").status_code == 405
    assert client.post("/api/packages", {}, format="json").status_code == 405


def test_one_that_waits_is_cancelled_and_one_that_ended_is_not(packaged: Database) -> None:
    path = f"/api/packages/{ask({}).json()['id']}"
    client = api("operator")
    assert client.post(f"{path}/cancel").json()["status"] == "cancelled"
    answer = client.post(f"{path}/cancel")
    assert code_of(answer) == (409, "wrong_state")
    assert answer.json()["state"] == "cancelled"


def test_an_open_one_is_not_deleted(packaged: Database) -> None:
    path = f"/api/packages/{ask({}).json()['id']}"
    assert code_of(api("admin").delete(path)) == (409, "wrong_state")


def test_a_deleted_one_leaves_nothing(package: Package, disk: Destination) -> None:
    key = package.copies.get().key
    assert api("admin").delete(f"/api/packages/{package.pk}").status_code == 204
    assert not (Path(disk.path) / key).exists()
    assert not (Path(disk.path) / f"{key}.manifest.json").exists()
    assert not Package.objects.exists()
    assert not PackageMember.objects.exists()


def test_one_whose_destination_is_away_is_deleted_later(package: Package, disk: Destination) -> None:
    Path(disk.path).rename(Path(disk.path).with_name("away"))
    answer = api("admin").delete(f"/api/packages/{package.pk}")
    assert (answer.status_code, answer.json()["status"]) == (202, "deleting")
    assert api("admin").delete(f"/api/packages/{package.pk}").status_code == 202


def body_of(answer: Any) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def test_it_is_downloaded_whole_and_in_parts(package: Package, disk: Destination) -> None:
    content = (Path(disk.path) / package.copies.get().key).read_bytes()
    client, path = api("operator"), f"/api/packages/{package.pk}/download"
    answer = client.get(path)
    assert (answer.status_code, body_of(answer)) == (200, content)
    assert answer.headers["Content-Length"] == str(len(content))
    digest = b64encode(hashlib.sha256(content).digest()).decode()
    assert answer.headers["Repr-Digest"] == f"sha-256=:{digest}:"
    assert f"{package.pk}-1.zip" in answer.headers["Content-Disposition"]
    part = client.get(path, headers={"range": "bytes=10-19"})
    assert (part.status_code, body_of(part)) == (206, content[10:20])
    assert client.get(path, headers={"range": f"bytes={len(content)}-"}).status_code == 416


def test_a_link_needs_no_other_credentials_until_it_ends(package: Package, disk: Destination) -> None:
    content = (Path(disk.path) / package.copies.get().key).read_bytes()
    made = api("operator").post(f"/api/packages/{package.pk}/download-link", {"expires_in": 60}, format="json")
    path = urlsplit(made.json()["url"]).path
    assert body_of(APIClient().get(path)) == content
    gone = {"package": package.pk, "until": (timezone.now() - timedelta(seconds=1)).timestamp()}
    for token in (signing.dumps(gone, salt="packages.download"), signing.dumps(gone, salt="backups.download"), "x"):
        assert APIClient().get(f"/api/downloads/packages/{token}").status_code == 404
    api("admin").delete(f"/api/packages/{package.pk}")
    assert APIClient().get(path).status_code == 404


def test_a_link_into_s3_is_the_stores_own(store: Store, s3: S3Server, s3_bucket: str) -> None:
    store("shop", b"shop")
    s3_destination(s3, s3_bucket)
    link = api("operator").post(f"/api/packages/{pack().pk}/download-link", {}, format="json").json()
    assert link["url"].startswith(s3.endpoint_url)


def test_one_that_is_not_stored_cannot_be_downloaded(packaged: Database) -> None:
    path = f"/api/packages/{ask({}).json()['id']}"
    assert code_of(api("operator").get(f"{path}/download")) == (409, "vanished")
    assert code_of(api("operator").post(f"{path}/download-link", {}, format="json")) == (409, "vanished")


class TestThePolicy:
    def change(self, body: object) -> Any:
        return api("admin").patch("/api/packages/policy", body, format="json")

    def test_it_is_there_before_anybody_saved_it(self, db: None) -> None:
        shown = api("viewer").get("/api/packages/policy").json()
        assert (shown["schedule"], shown["compression"], shown["on_missing"]) == (None, "zip", "skip")
        assert (shown["retention_days"], shown["max_packages"], shown["next_runs"]) == (0, 0, [])
        assert not PackagePolicy.objects.exists()

    def test_it_is_changed_in_part(self, db: None) -> None:
        make_destination()
        body = {"schedule": "0 4 * * 0", "timezone": "Europe/Berlin", "max_packages": 4, "destination": "local"}
        shown = self.change(body).json()
        assert {name: shown[name] for name in body} == body
        assert len(shown["next_runs"]) == 5
        assert self.change({"retention_days": 30}).json()["max_packages"] == 4
        shown = self.change({"schedule": None, "destination": None}).json()
        assert (shown["schedule"], shown["destination"], shown["retention_days"]) == (None, None, 30)

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"schedule": "61 * * * *"}, "schedule"),
            ({"schedule": "inherit"}, "schedule"),
            ({"schedule": 7}, "schedule"),
            ({"timezone": "Mars/Olympus"}, "timezone"),
            ({"compression": "rar"}, "compression"),
            ({"retention_days": -1}, "retention_days"),
            ({"max_packages": "many"}, "max_packages"),
            ({"destination": "nowhere"}, "destination"),
            ({"unknown": 1}, "unknown"),
        ],
    )
    def test_what_cannot_be_is_refused_by_field(self, db: None, body: object, field: str) -> None:
        answer = self.change(body)
        assert code_of(answer) == (400, "invalid")
        assert [fault["field"] for fault in answer.json()["errors"]] == [field]
        assert not PackagePolicy.objects.exists()
