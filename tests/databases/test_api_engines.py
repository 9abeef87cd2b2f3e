"""Databases of every engine over HTTP: each fault at its field, no secret in any answer."""

from typing import Any

import pytest

from databases.engines import registry
from databases.models import Database
from jobs.fields import unseal
from tests.api import api, make_destination
from tests.databases.bodies import BODIES, CANARY, body_of, registered, wrongs

pytestmark = pytest.mark.django_db


def create(body: dict[str, Any]) -> Any:
    return api().post("/api/databases", body, format="json")


def test_every_engine_is_tried_here() -> None:
    assert set(BODIES) >= set(registry.kinds())


@pytest.mark.parametrize("kind", registered())
def test_one_is_registered_and_its_secrets_are_told_by_name_only(kind: str) -> None:
    password = {"password": CANARY} if "username" in BODIES[kind].plain else {}
    answer = create(body_of(kind, id="one", **password))
    assert answer.status_code == 201, answer.content
    shown = api("viewer").get("/api/databases/one")
    assert shown.json()["secret_options"] == sorted(BODIES[kind].secrets)
    assert shown.json()["options"] == BODIES[kind].plain.get("options", {})
    everywhere = answer.content + shown.content + api().get("/api/databases").content
    assert CANARY.encode() not in everywhere
    assert unseal(Database.objects.get().secrets).get("options", {}) == BODIES[kind].secrets


@pytest.mark.parametrize("kind", registered())
def test_what_was_read_can_be_sent_back_without_losing_a_secret(kind: str) -> None:
    create(body_of(kind, id="one"))
    client = api()
    read = client.get("/api/databases/one").json()
    assert client.patch("/api/databases/one", {**read, "name": "Other"}, format="json").status_code == 200
    assert unseal(Database.objects.get().secrets).get("options", {}) == BODIES[kind].secrets


@pytest.mark.parametrize(("kind", "change", "field"), wrongs())
def test_each_fault_names_its_field_and_repeats_no_secret(kind: str, change: dict[str, Any], field: str) -> None:
    answer = create({"name": kind, "engine": kind, **BODIES[kind].plain, **change})
    assert answer.status_code == 400
    assert [fault["field"] for fault in answer.json()["errors"]] == [field]
    assert CANARY not in answer.content.decode()
    assert not Database.objects.exists()


@pytest.mark.parametrize("kind", registered())
def test_every_fault_is_told_at_once(kind: str) -> None:
    options = {"include_tables": 7.5, "bucket": 7.5, "uri": 7.5, "url": 7.5, "nonsense": CANARY}
    answer = create({"name": kind, "engine": kind, **BODIES[kind].plain, "options": options})
    assert {fault["field"] for fault in answer.json()["errors"]} == {f"options.{name}" for name in options}
    assert CANARY not in answer.content.decode()


@pytest.mark.parametrize("kind", registered())
def test_a_schedule_makes_what_the_engine_can(kind: str) -> None:
    possible = "incremental" in registry.engine_class(kind).supports
    body = body_of(kind, id="one")
    assert create(body).json()["scheduled_type"] == "full"
    answer = api().patch("/api/databases/one", {"scheduled_type": "incremental"}, format="json")
    if possible and answer.status_code == 200:
        assert answer.json()["scheduled_type"] == "incremental"
    else:
        assert [fault["field"] for fault in answer.json()["errors"]] == ["scheduled_type"]
    assert api().patch("/api/databases/one", {"scheduled_type": "selective"}, format="json").status_code == 400


@pytest.mark.parametrize("kind", registered())
def test_an_incremental_is_422_with_a_hint_where_an_engine_has_none(kind: str) -> None:
    make_destination()
    create(body_of(kind, id="one"))
    answer = api("operator").post("/api/backups", {"database_id": "one", "type": "incremental"}, format="json")
    if "incremental" in registry.engine_class(kind).supports:
        assert answer.status_code == 202
    else:
        assert (answer.status_code, answer.json()["code"]) == (422, "unsupported")
        made = [name for name in ("full", "selective") if name in registry.engine_class(kind).supports]
        assert answer.json()["hint"] == f"It makes: {', '.join(made)}."


@pytest.mark.parametrize("kind", [kind for kind in registered() if kind != "sqlite"])
def test_every_engine_of_many_items_takes_a_selective_backup(kind: str) -> None:
    make_destination()
    create(body_of(kind, id="one"))
    client = api("operator")
    body = {"database_id": "one", "type": "selective", "include": ["a"], "exclude": ["b"]}
    answer = client.post("/api/backups", body, format="json")
    assert answer.status_code == 202
    assert (answer.json()["include"], answer.json()["exclude"]) == (["a"], ["b"])
    for wrong in ({"type": "selective"}, {"include": ["a"]}):
        refused = client.post("/api/backups", {"database_id": "one", **wrong}, format="json")
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_selection")
