"""Hooks over the API: set and seen by admins only, and only what the deployment allows."""

from typing import Any

import pytest

from backupsite.api.services.api_keys import create_api_key
from databases.models import Database
from tests.api import api, make_database, user_with

pytestmark = pytest.mark.django_db

HOOKS = {"pre": [["/bin/true", "a b", "$(id)"]], "post": [["/bin/true"]], "timeout_s": 5}


@pytest.fixture(autouse=True)
def allowed(settings: Any) -> None:
    settings.BACKUPSITE_HOOK_PROGRAMS = ["/bin/true"]


def change(role: str, hooks: Any) -> Any:
    return api(role).patch("/api/databases/shop", {"hooks": hooks}, format="json")


def faults_of(answer: Any) -> list[str]:
    assert answer.status_code == 400, answer.json()
    return [fault["field"] for fault in answer.json()["errors"]]


def test_an_admin_sets_reads_and_removes_them() -> None:
    make_database()
    assert api().get("/api/databases/shop").json()["hooks"] == {"pre": [], "post": [], "timeout_s": 60}
    assert change("admin", HOOKS).json()["hooks"] == HOOKS
    assert api().get("/api/databases").json()["results"][0]["hooks"] == HOOKS
    assert change("admin", {}).json()["hooks"]["pre"] == []
    assert Database.objects.get().hooks == {}


def test_a_new_database_may_come_with_them() -> None:
    body = {"name": "n", "engine": "postgres", "host": "h", "username": "u", "database_name": "d", "hooks": HOOKS}
    assert api().post("/api/databases", body, format="json").json()["hooks"] == HOOKS


@pytest.mark.parametrize("role", ["operator", "viewer"])
def test_others_neither_set_nor_see_them(role: str) -> None:
    """An argument may hold what is private; and who sets a command runs it as the site's user."""
    make_database(hooks=HOOKS)
    assert change(role, {}).status_code == 403
    assert Database.objects.get().hooks == HOOKS
    for address in ("/api/databases/shop", "/api/databases"):
        assert "/bin/true" not in api(role).get(address).content.decode()


def test_a_viewers_key_made_by_an_admin_does_not_see_them() -> None:
    make_database(hooks=HOOKS)
    client = api("nobody")
    client.force_authenticate(None)
    for role, seen in (("viewer", False), ("admin", True)):
        _, key = create_api_key(name=role, role=role, user=user_with("admin"))
        client.credentials(HTTP_AUTHORIZATION=f"Api-Key {key}")
        assert ("hooks" in client.get("/api/databases/shop").json()) is seen


@pytest.mark.parametrize(
    ("hooks", "field"),
    [
        ({"pre": [["/bin/sh", "-c", "id"]]}, "hooks.pre"),
        ({"post": [["/bin/../bin/true"]]}, "hooks.post"),
        ({"post": [["true"]]}, "hooks.post"),
        ({"pre": [["/bin/true", "a\nb"]]}, "hooks.pre"),
        ({"pre": [[]]}, "hooks.pre.0"),
        ({"pre": ["/bin/true"]}, "hooks.pre.0"),
        ({"pre": "/bin/true"}, "hooks.pre"),
        ({"timeout_s": 3601}, "hooks.timeout_s"),
        ({"before": []}, "hooks.before"),
        ([], "hooks"),
        (None, "hooks"),
    ],
)
def test_what_is_wrong_is_told_at_its_field(hooks: Any, field: str) -> None:
    make_database()
    assert faults_of(change("admin", hooks)) == [field]
    assert Database.objects.get().hooks == {}


def test_none_can_be_set_where_the_deployment_allows_none(settings: Any) -> None:
    settings.BACKUPSITE_HOOK_PROGRAMS = []
    make_database(hooks=HOOKS)
    assert faults_of(change("admin", HOOKS)) == ["hooks.pre", "hooks.post"]
    assert api().patch("/api/databases/shop", {"name": "Other"}, format="json").status_code == 200
    assert change("admin", {}).status_code == 200
