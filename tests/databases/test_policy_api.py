"""The site's policy over HTTP."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from databases.models import Policy
from tests.api import api, make_database

pytestmark = pytest.mark.django_db
ADDRESS = "/api/policy"


def test_it_can_be_read_before_it_was_ever_set() -> None:
    body = api("viewer").get(ADDRESS).json()
    assert (body["retention_days"], body["failed_days"], body["schedule"], body["updated_at"]) == (0, 30, None, None)
    assert Policy.objects.count() == 0


def test_databases_inherit_what_is_set() -> None:
    make_database("inherits", schedule="inherit")
    make_database("says", schedule=None, retention_days=0, max_backups=9)
    given = {
        "retention_days": 14,
        "keep_weekly": 4,
        "schedule": "30 3 * * *",
        "blackouts": [{"from": "08:00", "to": "18:00"}],
    }
    answer = api().patch(f"{ADDRESS}/", given, format="json")
    assert answer.status_code == 200
    assert answer.json()["schedule_sentence"] == "At 03:30 every day"
    assert {name: answer.json()[name] for name in given} == given
    effective = {row["id"]: row["effective"] for row in api("viewer").get("/api/databases").json()["results"]}
    assert (effective["inherits"]["retention_days"], effective["inherits"]["schedule"]) == (14, ["30 3 * * *"])
    assert (effective["says"]["retention_days"], effective["says"]["max_backups"]) == (0, 9)
    assert effective["says"]["keep_weekly"] == 4
    assert api().patch(ADDRESS, {"schedule": None}, format="json").json()["retention_days"] == 14


def test_a_list_of_databases_asks_for_the_policy_once() -> None:
    make_database("a")
    client = api("viewer")
    client.get("/api/databases")

    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            client.get("/api/databases")
        return len(asked)

    few = queries()
    for number in range(9):
        make_database(f"db{number}")
    assert queries() == few


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("retention_days", -1),
        ("max_backups", 10**9),
        ("keep_daily", None),
        ("schedule", "61 * * * *"),
        ("schedule", "inherit"),
        ("blackouts", [{"from": "8"}]),
        ("blackouts", "always"),
        ("compression", "lzma"),
        ("jitter_s", 10**6),
        ("retention_day", 7),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(field: str, value: Any) -> None:
    answer = api().patch(ADDRESS, {field: value}, format="json")
    assert answer.status_code == 400
    assert [fault["field"].split(".")[0] for fault in answer.json()["errors"]] == [field]
    assert Policy.objects.filter(retention_days=0).count() == Policy.objects.count()


def test_everybody_with_a_role_reads_and_only_admins_write() -> None:
    roles = ("viewer", "operator", "admin", "nobody")
    assert [api(role).get(ADDRESS).status_code for role in roles] == [200, 200, 200, 403]
    given = {"retention_days": 1}
    assert [api(role).patch(ADDRESS, given, format="json").status_code for role in roles] == [403, 403, 200, 403]
    assert api().post(ADDRESS, given, format="json").status_code == 405
