"""Services over HTTP: asked for by name and collection, small ones read back."""

import json
from pathlib import Path
from typing import Any

import pytest

from backups.destinations import open_storage
from backups.models import Backup, Destination
from backups.pipeline.keys import generate_identity
from backups.services import read_data
from backups.storage.readers import BytesReader
from databases.engines import registry
from databases.models import Database
from tests.api import api, make_backup, make_database, make_destination
from tests.backups.services_room import Records, stored_records
from tests.room import local_destination

pytestmark = pytest.mark.django_db
ROWS: list[Any] = [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Grüße \U0001f600"}, ["a list"], 7]
PLAIN = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()


@pytest.fixture(autouse=True)
def service(monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setitem(registry.ENGINES, "records", Records)
    return make_database("crm", name="CRM", engine="records", options={"collections": ["users", "orders"]})


@pytest.fixture
def disk(tmp_path: Path) -> Destination:
    return local_destination(tmp_path / "artefacts")


def ask(**body: Any) -> Any:
    return api("operator").post("/api/backups", body, format="json")


def faults(answer: Any) -> dict[str, str]:
    assert answer.status_code == 400, answer.content
    return {fault["field"]: fault["message"] for fault in answer.json()["errors"]}


class TestAskingByName:
    @pytest.fixture(autouse=True)
    def destination(self) -> Destination:
        return make_destination()

    @pytest.mark.parametrize("name", ["crm", "CRM"])
    def test_a_service_is_backed_up_by_its_id_or_its_name(self, name: str) -> None:
        answer = ask(service_name=name, label="nightly")
        assert answer.status_code == 202
        body = answer.json()
        assert answer.headers["Location"] == f"/api/backups/{body['backup_id']}"
        assert (body["database_id"], body["type"], body["collection"], body["label"]) == ("crm", "full", "", "nightly")

    def test_one_collection_of_several_is_a_selective_backup(self) -> None:
        body = ask(service_name="crm", collection="users").json()
        assert (body["type"], body["include"], body["collection"]) == ("selective", ["users"], "users")

    def test_the_only_collection_is_a_full_backup(self, service: Database) -> None:
        Database.objects.update(options={"collections": ["users"]})
        body = ask(service_name="crm", collection="users").json()
        assert (body["type"], body["include"], body["collection"]) == ("full", [], "users")

    def test_the_only_collection_is_told_by_every_backup_of_it(self) -> None:
        Database.objects.update(options={"collections": ["users"]})
        assert ask(database_id="crm").json()["collection"] == "users"
        assert ask(service_name="crm", type="incremental").json()["collection"] == "users"

    def test_a_collection_it_does_not_have_is_refused_with_those_it_has(self) -> None:
        assert "users, orders" in faults(ask(service_name="crm", collection="pets"))["collection"]

    def test_a_name_that_several_bear_is_a_conflict(self) -> None:
        make_database("crm2", name="CRM", engine="records")
        answer = ask(service_name="CRM")
        assert (answer.status_code, answer.json()["code"]) == (409, "ambiguous_name")
        assert "crm, crm2" in answer.json()["hint"]

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"service_name": "nowhere"}, "service_name"),
            ({"service_name": "shop"}, "service_name"),
            ({"service_name": ""}, "service_name"),
            ({"service_name": "crm", "database_id": "crm"}, "service_name"),
            ({"database_id": "crm", "collection": "users"}, "collection"),
            ({"service_name": "crm", "collection": "users", "include": ["orders"]}, "collection"),
            ({"collection": "users"}, "database_id"),
        ],
    )
    def test_what_cannot_be_is_refused_by_field(self, body: dict[str, Any], field: str) -> None:
        make_database("shop")
        assert set(faults(ask(**body))) == {field}
        assert not Backup.objects.exists()

    def test_a_viewer_may_not_ask(self) -> None:
        answer = api("viewer").post("/api/backups", {"service_name": "crm"}, format="json")
        assert answer.status_code == 403

    def test_the_same_key_answers_the_same_backup_again(self) -> None:
        client = api("operator")
        body = {"service_name": "crm", "collection": "users"}
        answers = [client.post("/api/backups", body, format="json", HTTP_IDEMPOTENCY_KEY="once") for _ in range(2)]
        assert answers[0].json()["id"] == answers[1].json()["id"]


def test_the_last_backup_of_a_collection_and_lists_by_collection_and_parent(service: Database) -> None:
    users = make_backup(service, collection="users")
    orders = make_backup(service, collection="orders", parent=users, type="incremental")
    client = api("viewer")
    assert client.get("/api/backups/crm/last").json()["id"] == orders.pk
    found = client.get("/api/backups/CRM/last?collection=users&status=completed").json()
    assert (found["id"], found["collection"], found["data"]) == (users.pk, "users", None)
    assert client.get("/api/backups/crm/last?collection=pets").status_code == 404
    assert client.get("/api/backups/crm/last?collection=%00").status_code == 400
    assert [row["id"] for row in client.get("/api/backups?collection=users").json()["results"]] == [users.pk]
    rows = client.get(f"/api/backups?parent={users.pk}").json()["results"]
    assert [(row["id"], row["parent_id"]) for row in rows] == [(orders.pk, users.pk)]


class TestData:
    def get(self, backup: Backup, role: str = "operator") -> Any:
        return api(role).get(f"/api/backups/{backup.pk}?include=data")

    def code(self, answer: Any) -> tuple[int, str]:
        return answer.status_code, answer.json()["code"]

    def test_the_records_of_a_small_backup_are_answered(self, service: Database, disk: Destination) -> None:
        backup = stored_records(service, disk, PLAIN)
        answer = self.get(backup)
        assert (answer.status_code, answer.json()["data"]) == (200, ROWS)
        assert answer.headers["Cache-Control"] == "no-store"
        assert api("admin").get("/api/backups/crm/last?include=data").json()["data"] == ROWS
        assert api("viewer").get(f"/api/backups/{backup.pk}").json()["data"] is None

    def test_none_is_an_empty_list(self, service: Database, disk: Destination) -> None:
        assert self.get(stored_records(service, disk, b"")).json()["data"] == []

    @pytest.mark.parametrize("address", ["/api/backups/{id}?include=data", "/api/backups/crm/last?include=data"])
    def test_a_viewer_does_not_read_data(self, service: Database, disk: Destination, address: str) -> None:
        backup = stored_records(service, disk, PLAIN)
        answer = api("viewer").get(address.format(id=backup.pk))
        assert self.code(answer) == (403, "permission_denied")
        assert b"Ada" not in answer.content

    def test_another_word_is_refused(self, service: Database, disk: Destination) -> None:
        backup = stored_records(service, disk, PLAIN)
        assert set(faults(api().get(f"/api/backups/{backup.pk}?include=manifest"))) == {"include"}

    def test_an_encrypted_one_is_opened_with_the_sites_key(
        self, service: Database, disk: Destination, settings: Any
    ) -> None:
        identity, recipient = generate_identity()
        backup = stored_records(service, disk, PLAIN, recipients=[recipient])
        settings.BACKUPSITE_AGE_IDENTITIES = [identity]
        assert self.get(backup).json()["data"] == ROWS
        settings.BACKUPSITE_AGE_IDENTITIES = []
        answer = self.get(backup)
        assert self.code(answer) == (422, "missing_key")
        assert "Download" in answer.json()["hint"]

    def test_another_engine_has_none(self, disk: Destination) -> None:
        assert self.code(self.get(stored_records(make_database(), disk, PLAIN))) == (422, "unsupported")

    def test_one_that_is_not_completed_is_a_conflict(self, service: Database) -> None:
        answer = self.get(make_backup(service, status="failed"))
        assert self.code(answer) == (409, "wrong_state")
        assert answer.json()["state"] == "failed"

    def test_one_that_is_too_large_is_refused_before_it_is_read(self, service: Database) -> None:
        large: list[dict[str, Any]] = [{"size": read_data.MAX_STORED + 1}, {"original_size": read_data.MAX_PLAIN + 1}]
        for sizes in large:
            assert self.code(self.get(make_backup(service, **sizes))) == (422, "too_large")

    def test_a_bomb_is_not_unpacked(self, service: Database, disk: Destination) -> None:
        bomb = stored_records(service, disk, b"0" * (read_data.MAX_PLAIN * 4))
        assert bomb.size is not None and bomb.size < 10_000
        assert self.code(self.get(bomb)) == (422, "too_large")
        Backup.objects.update(original_size=1000)  # and one that lies about its size is read no further than that
        assert self.code(self.get(bomb)) == (422, "artefact_corrupt")

    def test_a_changed_artefact_is_not_believed(self, service: Database, disk: Destination) -> None:
        backup = stored_records(service, disk, PLAIN)
        other = stored_records(service, disk, PLAIN.replace(b"Ada", b"Bob"))
        storage, key = open_storage(disk), backup.copies.get().key
        with storage.open_stream(other.copies.get().key) as stream:
            swapped = bytearray(other.size or 0)
            stream.readinto(swapped)
        storage.delete(key)
        storage.write(key, BytesReader(bytes(swapped)))
        answer = self.get(backup)
        assert answer.status_code == 422
        assert b"Bob" not in answer.content

    def test_an_artefact_that_vanished_is_a_conflict(self, service: Database, disk: Destination) -> None:
        backup = stored_records(service, disk, PLAIN)
        open_storage(disk).delete(backup.copies.get().key)
        assert self.code(self.get(backup)) == (409, "object_missing")

    @pytest.mark.parametrize(
        "line",
        [b"{", b"\xff", b"NaN", b'"\\ud800"', b"[" * 100_000 + b"]" * 100_000, b"[" * 70 + b"]" * 70, b"1" * 5000],
        ids=["cut", "no text", "not a number", "half a pair", "very deep", "deep", "long number"],
    )
    def test_records_that_are_no_json_are_refused(self, service: Database, disk: Destination, line: bytes) -> None:
        backup = stored_records(service, disk, line + b"\n")
        for accept in ("application/json", "application/json; indent=4", "text/html"):
            answer = api("operator").get(f"/api/backups/{backup.pk}?include=data", headers={"accept": accept})
            assert answer.status_code == 422
            assert b"unreadable_records" in answer.content
