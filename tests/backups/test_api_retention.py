"""Why each backup stays or goes, over HTTP."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backups.models import Backup
from databases.models import Database, Policy
from tests.api import api, make_backup, make_database, make_destination

pytestmark = pytest.mark.django_db
ADDRESS = "/api/databases/shop/retention-preview"


@pytest.fixture
def shop() -> Database:
    database, destination = make_database(max_backups=2), make_destination()
    for days in range(4):
        make_backup(database, destination=destination, finished_at=timezone.now() - timedelta(days=days))
    return database


def ask(**query: Any) -> dict[str, Any]:
    answer = api("viewer").get(ADDRESS, query)
    assert answer.status_code == 200, answer.content
    body: dict[str, Any] = answer.json()
    return body


def test_it_explains_each_backup_and_changes_nothing(shop: Database) -> None:
    Policy(retention_days=30).save()
    body = ask()
    assert body["retention"] == {
        "retention_days": 30,
        "max_backups": 2,
        "keep_daily": 0,
        "keep_weekly": 0,
        "keep_monthly": 0,
        "keep_yearly": 0,
        "failed_days": 30,
    }
    assert (body["keep_count"], body["expire_count"], body["freed_bytes"]) == (2, 2, 20)
    assert [row["action"] for row in body["results"]] == ["keep", "keep", "expire", "expire"]
    assert body["results"][0]["reasons"] == ["kept: the last completed one"]
    assert body["results"][3]["reasons"] == ["goes: beyond the newest 2"]
    assert body["results"][1]["expires_at"].endswith("Z")
    assert Backup.objects.filter(status="completed", expires_at=None).count() == 4


def test_a_form_can_ask_what_other_limits_would_do(shop: Database) -> None:
    assert ask(max_backups=0)["expire_count"] == 0
    assert ask(max_backups=3, retention_days=2)["expire_count"] == 2
    assert ask(max_backups=1, keep_daily=2)["expire_count"] == 2
    shop.refresh_from_db()
    assert shop.max_backups == 2


def test_it_comes_in_pages_and_by_what_would_happen(shop: Database) -> None:
    body = ask(page_size=1, action="expire", page=2)
    assert (body["count"], len(body["results"]), body["next"]) == (2, 1, None)
    assert body["results"][0]["action"] == "expire"
    assert (body["keep_count"], body["expire_count"]) == (2, 2)


@pytest.mark.parametrize("query", [{"max_backups": -1}, {"max_backups": "x"}, {"max_backup": 1}, {"action": "burn"}])
def test_bad_limits_are_refused(shop: Database, query: dict[str, Any]) -> None:
    answer = api("viewer").get(ADDRESS, query)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, next(iter(query)))


def test_every_role_may_look_and_strangers_may_not(shop: Database) -> None:
    assert [api(role).get(ADDRESS).status_code for role in ("viewer", "operator", "admin", "nobody")] == [200] * 3 + [
        403
    ]
    assert api("viewer").get("/api/databases/gone/retention-preview").status_code == 404


def test_more_backups_ask_no_more_of_the_site(shop: Database) -> None:
    client = api("viewer")
    client.get(ADDRESS)

    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as asked:
            client.get(ADDRESS)
        return len(asked)

    few = queries()
    for _ in range(20):
        make_backup(shop)
    assert queries() == few
