"""Destinations over HTTP."""

from pathlib import Path

import pytest

from backups.models import Destination
from backups.services.look import look_at_destinations
from databases.models import Database
from jobs.fields import unseal
from tests.api import api, make_backup, make_database, make_destination

pytestmark = pytest.mark.django_db
CANARY = "s3cr3t-canary"
S3 = {"name": "Bucket", "kind": "s3", "bucket": "b", "access_key": "a", "secret_key": CANARY}


def test_a_folder_is_added_and_checked(tmp_path: Path) -> None:
    client = api()
    body = {"id": "disk", "name": "Disk", "kind": "local", "path": str(tmp_path / "artefacts"), "reserve_bytes": 0}
    answer = client.post("/api/destinations", body, format="json")
    assert (answer.status_code, answer.headers["Location"]) == (201, "/api/destinations/disk")
    report = client.post("/api/destinations/disk/check").json()
    assert report["ok"] is True
    assert report["free_bytes"] > 0


def test_a_check_that_fails_is_a_report(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    make_destination(tmp_path / "file")
    report = api("operator").post("/api/destinations/local/check")
    assert report.status_code == 200
    assert report.json()["ok"] is False
    assert report.json()["error"]


def test_it_shows_what_the_last_look_found() -> None:
    make_destination()
    client = api("viewer")
    shown = client.get("/api/destinations/local").json()
    assert (shown["fault"], shown["looked_at"]) == ("", None)
    look_at_destinations()
    shown = client.get("/api/destinations/local").json()
    assert shown["fault"] and shown["looked_at"]


def test_the_secret_key_is_kept_and_never_shown() -> None:
    client = api()
    answer = client.post("/api/destinations", {**S3, "id": "s3"}, format="json")
    assert answer.json()["has_secret_key"] is True
    assert CANARY not in answer.content.decode() + client.get("/api/destinations").content.decode()
    assert client.patch("/api/destinations/s3", {"name": "New"}, format="json").json()["has_secret_key"] is True
    assert unseal(Destination.objects.get().secrets) == {"secret_key": CANARY}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x", "kind": "tape"}, "kind"),
        ({"name": "x", "kind": "local", "path": "relative"}, "path"),
        ({"name": "x", "kind": "local", "path": "/a/../b"}, "path"),
        ({"name": "x", "kind": "s3"}, "bucket"),
        ({**S3, "secret_key": ""}, "secret_key"),
        ({**S3, "endpoint_url": "not a url"}, "endpoint_url"),
        ({**S3, "reserve_bytes": 10**30}, "reserve_bytes"),
        ({**S3, "id": "create"}, "id"),
        ({**S3, "colour": "red"}, "colour"),
    ],
)
def test_every_fault_names_its_field(body: dict[str, object], field: str) -> None:
    answer = api().post("/api/destinations", body, format="json")
    assert answer.status_code == 400
    assert field in {fault["field"] for fault in answer.json()["errors"]}
    assert not Destination.objects.exists()


def test_an_id_that_exists_is_a_conflict() -> None:
    make_destination(pk="s3")
    assert api().post("/api/destinations", {**S3, "id": "s3"}, format="json").json()["code"] == "id_taken"


def test_the_new_default_takes_the_place_of_the_old_one() -> None:
    make_destination()
    client = api()
    client.post("/api/destinations", {**S3, "id": "s3", "is_default": True}, format="json")
    assert client.get("/api/destinations/local").json()["is_default"] is False


def test_one_in_use_is_neither_deleted_nor_moved() -> None:
    destination = make_destination()
    client = api()
    make_backup(make_database(), destination=destination)
    assert client.delete("/api/destinations/local").json()["code"] == "wrong_state"
    assert client.patch("/api/destinations/local", {"path": "/else"}, format="json").status_code == 409
    assert Database.objects.exists()


def test_an_unused_one_is_deleted() -> None:
    make_destination()
    client = api()
    assert client.delete("/api/destinations/local").status_code == 204
    assert client.get("/api/destinations/local").status_code == 404


@pytest.mark.parametrize("prefix", ["../elsewhere", "a//b", "a/./b"])
def test_a_prefix_that_could_lead_elsewhere_is_refused(prefix: str) -> None:
    body = {"name": "Store", "kind": "s3", "bucket": "backups", "prefix": prefix}
    answer = api("admin").post("/api/destinations", body, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "prefix")
