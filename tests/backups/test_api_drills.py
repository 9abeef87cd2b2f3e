"""Drills and their plans over HTTP."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from backups.models import Drill
from backups.pipeline.keys import generate_identity
from backups.services.sign_report import canonical, sign, storable
from databases.engines import registry
from databases.models import Database
from jobs.fields import unseal
from jobs.models import Status
from tests.api import api, make_backup, make_database, make_destination
from tests.backups.paper import PaperEngine

pytestmark = pytest.mark.django_db

ASSERTION = {"name": "two is there", "query": "two", "operator": ">=", "value": 1}


@pytest.fixture(autouse=True)
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setitem(registry.ENGINES, "paper", PaperEngine)
    database = make_database(engine="paper")
    make_backup(database, destination=make_destination())
    return database


def code_of(answer: Any) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == "application/problem+json", answer.content
    return answer.status_code, answer.json()["code"]


def make_drill(**values: Any) -> Drill:
    return Drill.objects.create(database_id="shop", database_name="Shop", backup_label="bkp_x", **values)


@pytest.mark.parametrize("path", ["/api/databases/shop/drill", "/api/backups/{backup}/drill"])
def test_a_drill_is_asked_for(database: Database, path: str) -> None:
    [backup] = database.backups.all()
    identity = generate_identity()[0]
    body = {"assertions": [ASSERTION], "identity": identity, "destination": "local"}
    answer = api("operator").post(path.format(backup=backup.pk), body, format="json")
    assert answer.status_code == 202, answer.content
    shown = answer.json()
    assert answer.headers["Location"] == f"/api/drills/{shown['id']}"
    assert (shown["status"], shown["trigger"], shown["backup_id"]) == ("pending", "api", backup.pk)
    assert shown["assertions"] == [ASSERTION] and "identity" not in shown
    drill = Drill.objects.get()
    assert unseal(drill.identity) == identity and drill.requested_by is not None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"pick": "oldest"}, (400, "invalid")),
        ({"destination": "nowhere"}, (400, "invalid")),
        ({"server": "nowhere"}, (400, "invalid")),
        ({"server": "other"}, (422, "engine_mismatch")),
        ({"assertions": [{"name": "x"}]}, (400, "invalid_assertion")),
        ({"identity": "age1x"}, (400, "invalid")),
        ({"until": "now"}, (400, "invalid")),
        ({"destination": "far"}, (409, "no_backup")),
    ],
)
def test_a_request_that_cannot_be_is_refused(body: dict[str, Any], expected: tuple[int, str]) -> None:
    make_database("other")
    make_destination(pk="far", is_default=False)
    assert code_of(api("operator").post("/api/databases/shop/drill", body, format="json")) == expected
    assert not Drill.objects.exists()


def test_the_same_request_twice_drills_once() -> None:
    for _ in range(2):
        answer = api("operator").post("/api/databases/shop/drill", {}, format="json", headers={"Idempotency-Key": "a"})
        assert answer.status_code == 202
    assert Drill.objects.count() == 1


def test_viewers_read_and_operators_drill() -> None:
    drill = make_drill()
    viewer, operator = api("viewer"), api("operator")
    assert viewer.get("/api/drills").status_code == viewer.get("/api/databases/shop/drill-plan").status_code == 200
    for path in ("/api/databases/shop/drill", f"/api/drills/{drill.pk}/cancel"):
        assert viewer.post(path, {}, format="json").status_code == 403
        assert operator.post(path, {}, format="json").status_code == 202
    assert operator.patch("/api/databases/shop/drill-plan", {"pick": "random"}, format="json").status_code == 403


def test_a_waiting_drill_is_cancelled_and_its_log_is_read() -> None:
    drill = make_drill(identity="AGE-SECRET-KEY-1")
    assert api().post(f"/api/drills/{drill.pk}/cancel").json()["status"] == "cancelled"
    drill.refresh_from_db()
    assert drill.identity is None
    assert api().get(f"/api/drills/{drill.pk}/log").headers["Content-Type"].startswith("text/plain")


def test_a_report_comes_as_it_was_signed_and_stock_openssl_agrees(tmp_path: Path) -> None:
    report = storable({"b": 1.0, "a": "ä\0", "c": [1e-9, 2**60, None, True], "d": {"z": 0.1 + 0.2}})
    drill = make_drill(status=Status.COMPLETED, report=report, signature=sign(report))
    assert canonical(Drill.objects.get(pk=drill.pk).report) == canonical(report)
    client = api("viewer")
    answer = client.get(f"/api/drills/{drill.pk}/report")
    assert answer.headers["Backupsite-Signature"] == f"ed25519={drill.signature}"
    files = {
        "report": answer.content,
        "sig": client.get(f"/api/drills/{drill.pk}/signature").content,
        "key": client.get("/api/drills/report-key").content,
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)

    def openssl() -> subprocess.CompletedProcess[str]:
        asked = ["-rawin", "-in", "report", "-sigfile", "sig", "-pubin", "-inkey", "key"]
        return subprocess.run(
            ["openssl", "pkeyutl", "-verify", *asked], cwd=tmp_path, capture_output=True, text=True, check=False
        )

    assert "Verified Successfully" in openssl().stdout
    (tmp_path / "report").write_bytes(files["report"].replace(b"true", b"false"))
    assert openssl().returncode == 1


def test_without_a_report_there_is_none_to_read() -> None:
    drill = make_drill()
    for name in ("report", "signature"):
        assert api().get(f"/api/drills/{drill.pk}/{name}").status_code == 404


def test_the_list_takes_a_constant_number_of_queries_and_filters() -> None:
    client = api("viewer")
    make_drill()
    client.get("/api/drills")  # asks for the role, once
    with CaptureQueriesContext(connection) as few:
        client.get("/api/drills")
    for _ in range(5):
        make_drill(status=Status.FAILED, report={"x": 1})
    with CaptureQueriesContext(connection) as many:
        assert client.get("/api/drills?database=shop&status=failed&backup=bkp_x").json()["count"] == 5
    assert len(many) == len(few)
    assert "report" not in many.captured_queries[-1]["sql"]


# The plan


def test_a_plan_is_shown_before_and_after_it_was_set() -> None:
    make_database("server", engine="paper")
    path = "/api/databases/shop/drill-plan"
    before = api("viewer").get(path).json()
    assert (before["drill_schedule"], before["pick"], before["next_runs"], before["within_days"]) == (
        None,
        "newest",
        [],
        None,
    )
    given = {
        "drill_schedule": "0 3 * * 0",
        "pick": "random",
        "destination": "local",
        "server": "server",
        "assertions": [ASSERTION],
        "within_days": 40,
    }
    answer = api().patch(path, given, format="json")
    assert answer.status_code == 200, answer.content
    after = api().get(path).json()
    assert {name: after[name] for name in given} == given
    assert after["sentence"] == "At 03:00 on Sunday" and len(after["next_runs"]) == 5
    assert api().patch(path, after, format="json").json()["server"] == "server", "what was read can be sent back"
    assert api().patch(path, {"server": None}, format="json").json()["server"] is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"drill_schedule": "never"}, "drill_schedule"),
        ({"server": "other"}, "server"),
        ({"assertions": [{**ASSERTION, "operator": "~"}]}, "assertions"),
        ({"within_days": -1}, "within_days"),
        ({"destination": "nowhere"}, "destination"),
        ({"schedules": 1}, "schedules"),
    ],
)
def test_a_plan_with_a_fault_is_refused(body: dict[str, Any], field: str) -> None:
    make_database("other")
    answer = api().patch("/api/databases/shop/drill-plan", body, format="json")
    assert code_of(answer) == (400, "invalid")
    assert field in str(answer.json())
