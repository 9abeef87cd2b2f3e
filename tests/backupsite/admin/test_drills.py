"""The pages of drills: the plan of a Database, a drill and its report."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from backups.models import Backup, Destination, Drill, DrillOverdue, DrillPlan
from backups.pipeline.keys import generate_identity
from backups.services.save_drill_plan import save_drill_plan
from backups.services.sign_report import sign, storable
from databases.models import Database
from jobs.models import Status
from tests.api import make_database

LogIn = Callable[[str], Client]
MakeBackup = Callable[..., Backup]
SHOP = "/admin/databases/database/shop"
REPORT: dict[str, Any] = {
    "schema_version": 1,
    "site": "https://b.example.com",
    "signed_by": "0" * 16,
    "drill": {"id": "drl_1", "started_at": "2026-03-04T03:00:00.000000Z"},
    "verdict": "not_proven",
    "fault": "bkp_1 differs in 1 places: rows of public.item: expected 3, found 2.",
    "error": None,
    "database": {"id": "shop", "name": "<Shop>", "engine": "postgres"},
    "backup": {
        "id": "bkp_1",
        "type": "full",
        "label": "",
        "started_at": "2026-03-04T01:00:00.000000Z",
        "age_s": 7200,
        "sha256": "ab" * 32,
    },
    "chain": ["bkp_1"],
    "read_from": [{"destination": "disk", "key": "shop/2026/x.dump.zst"}],
    "seconds": {"scratch": 1.5, "restore": 2.25, "compare": 0.5, "tear_down": 0.25},
    "recovery_time_s": 3.75,
    "total_s": 4.5,
    "bytes": {"stored": 1000, "plain": 2000},
    "versions": {"backup_server": "16.1", "backup_tool": "a", "scratch_server": "16.2", "restore_tool": "b"},
    "scratch": {"name": "bsdrill_1_1", "server": None},
    "restored": {"public.item": 2},
    "comparison": {
        "checked": {"rows": 1},
        "differences": [{"kind": "rows", "name": "public.item", "expected": 3, "found": 2}],
        "difference_count": 1,
        "first_difference": {},
        "notes": ["A note."],
    },
    "assertions": [
        {"name": "no orphans", "query": "SELECT 1", "operator": "==", "value": 0, "found": 1, "ok": False, "error": ""}
    ],
    "notes": [],
    "log": ["restoring bkp_1"],
}


@pytest.fixture
def drill(shop: Database) -> Drill:
    report = storable(REPORT)
    values = {"database": shop, "database_name": "Shop", "backup_label": "bkp_1", "status": Status.FAILED}
    return Drill.objects.create(**values, report=report, signature=sign(report), error_code="not_proven")


def test_the_report_stands_alone_on_one_page(log_in: LogIn, drill: Drill) -> None:
    page = log_in("viewer").get(f"/admin/backups/drill/{drill.pk}/report/").content.decode()
    for told in ("Not proven", "expected 3, found 2", "&lt;Shop&gt;", "no orphans", "size: A4", drill.signature):
        assert told in page
    assert not re.search(r"<(script|link|img)|https?://(?!b\.example)|\{[{%]", page), "self-contained"
    assert "2 h" in page, "the recovery point"


def test_the_page_of_a_drill_leads_to_its_report(log_in: LogIn, drill: Drill) -> None:
    page = log_in("viewer").get(f"/admin/backups/drill/{drill.pk}/change/").content.decode()
    for told in (f"/admin/backups/drill/{drill.pk}/report/", f"/api/drills/{drill.pk}/signature", "public.item"):
        assert told in page
    waiting = Drill.objects.create(database_id="shop", database_name="Shop", backup_label="bkp_2")
    assert log_in("viewer").get(f"/admin/backups/drill/{waiting.pk}/change/").status_code == 200
    assert log_in("viewer").get(f"/admin/backups/drill/{waiting.pk}/report/").status_code == 404


def test_drill_now_is_a_post_of_operators(log_in: LogIn, make_backup: MakeBackup) -> None:
    backup = make_backup()
    path = f"/admin/databases/database/{backup.database_id}/drill/"
    assert log_in("operator").get(path).status_code == 405
    assert log_in("viewer").post(path).status_code == 403
    assert not Drill.objects.exists()
    answer = log_in("operator").post(path)
    assert answer.headers["Location"] == f"/admin/backups/drill/{Drill.objects.get().pk}/change/"


def test_where_there_is_nothing_to_drill_the_page_says_so(log_in: LogIn, shop: Database, disk: Destination) -> None:
    answer = log_in("operator").post(f"{SHOP}/drill/", follow=True).content.decode()
    assert "There is no backup of shop to drill" in answer


def test_one_backup_is_drilled_from_its_page(log_in: LogIn, make_backup: MakeBackup, disk: Destination) -> None:
    backup = make_backup()
    path = f"/admin/backups/backup/{backup.pk}/drill/"
    page = log_in("operator").get(path).content.decode()
    assert "Drill server" in page and not Drill.objects.exists()
    assert log_in("operator").post(path, {"destination": "disk"}).status_code == 302
    drill = Drill.objects.get()
    assert (drill.backup, drill.destination) == (backup, disk)


def test_a_drill_that_waits_for_a_key_is_given_it_on_its_page(
    log_in: LogIn, make_backup: MakeBackup, settings: Any
) -> None:
    settings.BACKUPSITE_AGE_IDENTITIES = settings.BACKUPSITE_DRILL_IDENTITIES = []
    backup = make_backup(encryption="age")
    values = {"database": backup.database, "database_name": "Shop", "backup": backup, "backup_label": backup.pk}
    waiting = Drill.objects.create(**values, status=Status.SCHEDULED)
    page = f"/admin/backups/drill/{waiting.pk}"
    assert f'href="{page}/identity/"' in log_in("operator").get(f"{page}/change/").content.decode()
    assert f'href="{page}/identity/"' not in log_in("viewer").get(f"{page}/change/").content.decode()
    assert log_in("viewer").post(f"{page}/identity/", {"identity": "x"}).status_code == 403
    assert "holds no key" in log_in("operator").post(f"{page}/identity/", {"identity": ""}).content.decode()
    key = generate_identity()[0]
    log_in("operator").get(f"{page}/identity/")
    assert Drill.objects.get().waits_for_identity
    answer = log_in("operator").post(f"{page}/identity/", {"identity": key})
    assert (answer.status_code, Drill.objects.get().status) == (302, Status.PENDING)
    assert f"{page}/identity/" not in log_in("operator").get(f"{page}/change/").content.decode()


def test_the_plan_is_edited_with_its_assertions(log_in: LogIn, shop: Database, disk: Destination) -> None:
    make_database("staging", host="10.0.0.9")
    make_database("bucket", engine="s3")
    path = f"{SHOP}/drill-plan/"
    page = log_in("admin").get(path).content.decode()
    assert "staging" in page and 'value="bucket"' not in page, "Databases of the same engine only"
    form = {
        "times": "0 5 * * 0",
        "pick": "random",
        "within_days": "40",
        "destination": "disk",
        "server": "staging",
        "name_1": "there are orders",
        "query_1": "SELECT count(*) FROM orders",
        "operator_1": ">=",
        "value_1": "10",
        "query_2": "SELECT true",
        "operator_2": "==",
        "value_2": "True",
    }
    answer = log_in("admin").post(path, form)
    assert answer.status_code == 302, answer.content.decode()
    plan = DrillPlan.objects.get()
    assert (plan.schedule, plan.pick, plan.within_days) == ("0 5 * * 0", "random", 40)
    assert (plan.destination_id, plan.server_id) == ("disk", "staging")
    first, second = plan.assertions
    assert first == {
        "name": "there are orders",
        "query": "SELECT count(*) FROM orders",
        "operator": ">=",
        "value": 10,
    }
    assert second["name"] == "SELECT true" and second["value"] is True
    shown = log_in("viewer").get(f"{SHOP}/change/").content.decode()
    assert "At 05:00 on Sunday" in shown
    again = log_in("admin").get(path).content.decode()
    assert "SELECT count(*) FROM orders" in again and 'name="query_5"' in again
    log_in("admin").post(path, {**form, "query_1": ""})
    plan.refresh_from_db()
    assert [one["name"] for one in plan.assertions] == ["SELECT true"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"times": "nightly"}, "is not a 5-field cron expression"),
        ({"query_1": "SELECT 1", "operator_1": "==", "value_1": "many"}, "Give a number, true or false."),
        ({"query_1": '{"count"', "operator_1": "==", "value_1": "1"}, "A query in braces must be JSON."),
    ],
)
def test_a_plan_with_a_fault_is_shown_again(log_in: LogIn, shop: Database, change: dict[str, str], told: str) -> None:
    page = log_in("admin").post(f"{SHOP}/drill-plan/", {"pick": "newest", "times": "", **change}).content.decode()
    assert told in page and not DrillPlan.objects.exists()


def test_the_page_of_a_database_says_when_nothing_was_proven(log_in: LogIn, shop: Database) -> None:
    save_drill_plan(database=shop, values={"within_days": 1})
    DrillOverdue.objects.create(database=shop, since=shop.created_at)
    assert "No backup was proven in time." in log_in("viewer").get(f"{SHOP}/change/").content.decode()
