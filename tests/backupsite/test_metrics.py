"""`/metrics`: who may read it, what it says, and that Prometheus's own tools agree."""

import re
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from backups.models import Anomaly, Backup, Copy, DatabaseDestination, Destination, Drill, DrillOverdue, Overdue, Slot
from jobs.models import Process, Status
from jobs.services.tally import SECONDS, add, observe
from notifications.models import Channel
from tests.api import api, make_backup, make_database, make_destination, user_with

MONITORING = Path(__file__).resolve().parents[2] / "docs" / "monitoring"

pytestmark = pytest.mark.django_db


@pytest.fixture
def opened(settings: Any) -> None:
    settings.BACKUPSITE_METRICS_OPEN = True


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scraped() -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return samples(Client().get("/metrics").content.decode())


def value(name: str, **labels: str) -> float | None:
    return scraped().get((name, frozenset(labels.items())))


def test_nobody_reads_it_without_a_token_or_a_role(settings: Any) -> None:
    settings.BACKUPSITE_METRICS_TOKEN = "s3cret"
    assert Client().get("/metrics").status_code == 401
    assert Client().get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert api("nobody").get("/metrics").status_code == 403
    assert Client().get("/metrics", headers={"Authorization": "Bearer s3cret"}).status_code == 200


def test_no_token_is_not_an_empty_token() -> None:
    assert Client().get("/metrics", headers={"Authorization": "Bearer "}).status_code == 401


@pytest.mark.parametrize("path", ["/metrics", "/metrics/", "/api/metrics"])
def test_a_role_or_an_open_door_reads_it(path: str, settings: Any) -> None:
    client = Client()
    client.force_login(user_with("viewer"))
    assert client.get(path).status_code == 200
    settings.BACKUPSITE_METRICS_OPEN = True
    assert Client().get(path).status_code == 200
    assert Client().post(path).status_code == 405


def test_it_tells_of_databases_by_id_and_of_what_came_of_their_backups(opened: None) -> None:
    destination = make_destination()
    shop = make_database(name="Shop", schedule="0 3 * * *")
    good = make_backup(shop, destination=destination, size=1000)
    make_backup(shop, status=Status.FAILED)
    assert value("backupsite_backups", engine="postgres", status="failed", trigger="manual") == 1
    assert value("backupsite_database_backups", database="shop", status="completed") == 1
    assert good.finished_at is not None and good.started_at is not None
    assert (
        value("backupsite_database_last_completed_timestamp_seconds", database="shop") == good.finished_at.timestamp()
    )
    assert value("backupsite_database_last_success_timestamp_seconds", database="shop") == good.started_at.timestamp()
    assert value("backupsite_database_last_proven_timestamp_seconds", database="shop") is None
    assert value("backupsite_destination_used_bytes", destination="local", kind="local") == 1000
    info = {"database": "shop", "engine": "postgres", "enabled": "true", "scheduled": "true"}
    assert value("backupsite_database_info", **info) == 1


def test_it_tells_of_drills_and_of_databases_that_lack_one(opened: None) -> None:
    shop = make_database()
    assert value("backupsite_database_drill_overdue", database="shop") is None
    DrillOverdue.objects.create(database=shop, since=timezone.now())
    Drill.objects.create(database=shop, database_name="Shop", backup_label="bkp_x", status=Status.FAILED)
    assert value("backupsite_database_drill_overdue", database="shop") == 1
    assert value("backupsite_drills", status="failed", trigger="manual") == 1


def test_a_quarantined_copy_is_counted_and_takes_no_space(opened: None) -> None:
    make_backup(make_database(), destination=make_destination())
    Copy.objects.update(state=Copy.State.QUARANTINED)
    assert value("backupsite_destination_copies", destination="local", state="quarantined") == 1
    assert value("backupsite_destination_used_bytes", destination="local", kind="local") == 0


def test_a_destination_is_up_or_down_as_the_last_look_found(opened: None) -> None:
    make_destination()
    assert value("backupsite_destination_up", destination="local", kind="local") is None
    Destination.objects.update(looked_at=timezone.now())
    assert value("backupsite_destination_up", destination="local", kind="local") == 1
    Destination.objects.update(fault="unreachable")
    assert value("backupsite_destination_up", destination="local", kind="local") == 0


def test_missed_due_times_are_told_apart_from_skipped_ones(opened: None) -> None:
    shop, now = make_database(), timezone.now()
    reasons = ("missed: nothing was running to start it", "an earlier backup still waits or runs")
    for number, reason in enumerate(reasons):
        due = now - timedelta(hours=number)
        Slot.objects.create(database=shop, due_at=due, outcome=Slot.Outcome.SKIPPED, reason=reason)
    assert value("backupsite_schedule_slots", outcome="missed") == 1
    assert value("backupsite_schedule_slots", outcome="skipped") == 1
    assert value("backupsite_database_last_due_timestamp_seconds", database="shop") == now.timestamp()


def test_the_queue_has_a_depth_and_an_age(opened: None) -> None:
    waiting = make_backup(make_database(), status=Status.PENDING)
    Backup.objects.filter(pk=waiting.pk).update(created_at=timezone.now() - timedelta(seconds=90))
    seen = timezone.now() - timedelta(seconds=30)
    Process.objects.create(name="sweeper@here:1", role="sweeper", host="here", pid=1, started_at=seen, seen_at=seen)
    found = scraped()
    assert found["backupsite_jobs", frozenset({("kind", "backup"), ("status", "pending")})] == 1
    assert 90 <= found["backupsite_oldest_pending_job_seconds", frozenset({("kind", "backup")})] < 120
    assert 30 <= found["backupsite_process_age_seconds", frozenset({("role", "sweeper")})] < 60


def test_what_was_counted_stays_counted_when_its_rows_are_gone(opened: None) -> None:
    for seconds in (0.5, 30, 10**6):
        observe("backupsite_backup_duration_seconds", seconds, bounds=SECONDS, engine="s3", status="completed")
    add("backupsite_retention_deletions", 3, engine="s3")
    add("backupsite_retention_deletions", 2, engine="s3")
    found = scraped()

    def bucket(le: str) -> float:
        labels = {("engine", "s3"), ("status", "completed"), ("le", le)}
        return found["backupsite_backup_duration_seconds_bucket", frozenset(labels)]

    assert [bucket(le) for le in ("1.0", "15.0", "60.0", "86400.0", "+Inf")] == [1, 1, 2, 2, 3]
    assert found["backupsite_retention_deletions_total", frozenset({("engine", "s3")})] == 5


def test_a_scrape_takes_the_same_queries_for_many_databases(opened: None) -> None:
    destination = make_destination()

    def queries(first: int, last: int) -> int:
        for number in range(first, last):
            make_backup(make_database(f"db-{number}"), destination=destination)
        with CaptureQueriesContext(connection) as asked:
            assert Client().get("/metrics").status_code == 200
        return len(asked)

    assert queries(0, 2) == queries(2, 30)


def test_names_and_other_free_text_are_no_labels(opened: None) -> None:
    make_backup(make_database(name="N4me"), destination=make_destination(name="D3st"), label="L4bel")
    text = Client().get("/metrics").content.decode()
    assert not [word for word in ("N4me", "D3st", "L4bel") if word in text]


def test_promtool_finds_nothing_to_say(opened: None, promtool: Path) -> None:
    make_backup(make_database(schedule="0 3 * * *"), destination=make_destination())
    observe("backupsite_backup_size_bytes", 5000, bounds=(1024, 1048576), engine="s3")
    text = Client().get("/metrics").content
    done = subprocess.run([str(promtool), "check", "metrics"], input=text, capture_output=True, check=False)
    own = [line for line in done.stderr.decode().splitlines() if "backupsite_" in line]
    assert own == []
    assert done.returncode in (0, 3), done.stderr  # 3: style, which is said of django-prometheus's own names


def test_every_alert_is_valid_fires_and_is_silent_while_all_is_well(promtool: Path) -> None:
    for command in (["check", "rules", "alerts.yaml"], ["test", "rules", "alerts_test.yaml"]):
        done = subprocess.run([str(promtool), *command], cwd=MONITORING, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_case_in_which_it_fires() -> None:
    rules = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"][0]["rules"]
    cases = [case for test in yaml.safe_load((MONITORING / "alerts_test.yaml").read_text())["tests"]
             for case in test["alert_rule_test"]]  # fmt: skip
    assert {rule["alert"] for rule in rules} == {case["alertname"] for case in cases if case["exp_alerts"]}


@pytest.mark.parametrize("file", ["alerts.yaml", "grafana.json"])
def test_rules_and_dashboard_ask_for_nothing_that_is_not_there(opened: None, file: str) -> None:
    add("backupsite_leases_lost", kind="backup")
    backup = make_backup(make_database(schedule="0 3 * * *"), destination=make_destination(), proven_at=timezone.now())
    Anomaly.objects.create(backup=backup, database_id="shop")
    Slot.objects.create(database_id="shop", due_at=timezone.now(), outcome=Slot.Outcome.REQUESTED)
    Overdue.objects.create(database_id="shop", due_at=timezone.now(), since=timezone.now())
    DrillOverdue.objects.create(database_id="shop", since=timezone.now())
    Destination.objects.update(looked_at=timezone.now())
    for name in ("backupsite_backup_duration_seconds", "backupsite_backup_size_bytes"):
        observe(name, 1, bounds=SECONDS, engine="s3", status="completed")
    for name in ("backupsite_retention_deletions", "backupsite_backup_original_bytes"):
        add(name, engine="s3")
    seen = timezone.now()
    Process.objects.create(name="w@h:1", role="worker", host="h", pid=1, started_at=seen, seen_at=seen)
    Channel.objects.create(kind=Channel.Kind.WEBHOOK, name="Ops")
    DatabaseDestination.objects.create(database_id="shop", destination_id="local", position=1, lacking=1)
    known = {name for name, _ in scraped()}
    asked = set(re.findall(r"backupsite_[a-z_]+", (MONITORING / file).read_text()))
    assert asked - known == set()


def test_every_figure_is_on_its_page(opened: None) -> None:
    add("backupsite_verifications", trigger="manual", outcome="completed")
    make_backup(make_database(), destination=make_destination(), proven_at=timezone.now())
    page = (MONITORING / "README.md").read_text()
    families = {name.removesuffix("_created") for name, _ in scraped() if name.startswith("backupsite_")}
    assert [name for name in sorted(families) if f"`{name}" not in page] == []
