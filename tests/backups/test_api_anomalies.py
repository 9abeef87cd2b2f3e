"""Anomalies over HTTP, in the admin, in doctor and in the metrics."""

from typing import Any

import pytest
from django.test import Client
from prometheus_client.core import GaugeMetricFamily

from backups.metrics import BackupsCollector
from backups.models import Anomaly, Backup
from backupsite.management.checks import anomalies
from databases.models import Database
from tests.api import api, browser_of, make_backup, make_database

pytestmark = pytest.mark.django_db

FINDING = {
    "measure": "item",
    "name": "public.orders",
    "change": "emptied",
    "found": 0,
    "previous": 1200,
    "low": 1100,
    "high": 1300,
}


@pytest.fixture
def shop() -> Database:
    return make_database()


@pytest.fixture
def marked(shop: Database) -> Backup:
    backup = make_backup(shop)
    size = {**FINDING, "measure": "size", "name": "", "change": "fall", "found": 1 << 20, "previous": 9 << 20}
    Anomaly.objects.create(backup=backup, database=shop, findings=[FINDING, size])
    return backup


def said(backup: Backup, role: str = "operator", **body: Any) -> Any:
    return api(role).post(f"/api/backups/{backup.pk}/anomaly", body, format="json")


def test_a_backup_shows_what_is_unlike_the_others_and_its_database_who_holds_it(shop: Database, marked: Backup) -> None:
    client = api("viewer")
    shown = client.get(f"/api/backups/{marked.pk}").data["anomaly"]
    assert (shown["state"], shown["holds"], shown["findings"][0]) == ("open", True, FINDING)
    assert client.get(f"/api/backups/{make_backup(shop).pk}").data["anomaly"] is None
    assert client.get("/api/databases/shop").data["held_by"] == marked.pk
    assert [one["id"] for one in client.get("/api/backups?anomaly=open").data["results"]] == [marked.pk]
    assert client.get("/api/backups?anomaly=right").data["count"] == 0


def test_an_operator_says_that_it_is_right_and_a_viewer_may_not(marked: Backup) -> None:
    assert said(marked, "viewer", verdict="right").status_code == 403
    answer = said(marked, verdict="right", note="archived")
    assert (answer.status_code, answer.data["state"], answer.data["holds"]) == (200, "right", False)
    assert (answer.data["note"], bool(answer.data["said_by"])) == ("archived", True)
    again = said(marked, verdict="right")
    assert (again.status_code, again.data["code"]) == (409, "wrong_state")


def test_what_is_wrong_is_good_again_only_when_a_good_one_came(shop: Database, marked: Backup) -> None:
    assert said(marked, verdict="wrong").data["state"] == "wrong"
    refused = said(marked, verdict="good_again")
    assert (refused.status_code, refused.data["code"]) == (422, "nothing_good")
    make_backup(shop)
    assert said(marked, verdict="good_again").data["holds"] is False


@pytest.mark.parametrize("body", [{}, {"verdict": "perhaps"}, {"verdict": "right", "more": 1}])
def test_anything_else_is_refused(marked: Backup, body: dict[str, Any]) -> None:
    assert said(marked, **body).status_code == 400


def test_one_that_is_not_marked_has_nothing_to_be_said_of(shop: Database) -> None:
    assert said(make_backup(shop), verdict="right").status_code == 409


def test_the_policy_and_a_database_say_how_sensitive_it_is(shop: Database) -> None:
    client = api("admin")
    assert client.get("/api/databases/shop").data["effective"]["anomalies"] == "normal"
    assert client.patch("/api/policy", {"anomalies": "high"}, format="json").data["anomalies"] == "high"
    assert client.get("/api/databases/shop").data["effective"]["anomalies"] == "high"
    own = client.patch("/api/databases/shop", {"anomalies": "off"}, format="json").data
    assert (own["anomalies"], own["effective"]["anomalies"]) == ("off", "off")
    assert client.patch("/api/policy", {"anomalies": "inherit"}, format="json").status_code == 400


def test_doctor_and_metrics_name_what_is_held(shop: Database, marked: Backup) -> None:
    [(state, told, hint)] = list(anomalies())
    assert (state, told.startswith(f"shop: {marked.pk}"), bool(hint)) == ("WARN", True, True)
    assert held() == {"shop"}
    said(marked, verdict="right")
    assert [state for state, _, _ in anomalies()] == ["OK"]
    assert held() == set()


def held() -> set[str]:
    [family] = [one for one in BackupsCollector().collect() if one.name == "backupsite_database_anomaly"]
    assert isinstance(family, GaugeMetricFamily)
    return {sample.labels["database"] for sample in family.samples}


# The admin


@pytest.fixture
def browser() -> Client:
    return browser_of("operator")


def page(browser: Client, backup: Backup) -> str:
    return browser.get(f"/admin/backups/backup/{backup.pk}/change/").content.decode()


def test_the_page_shows_the_figures_and_takes_what_is_said(browser: Client, marked: Backup) -> None:
    before = page(browser, marked)
    assert all(text in before for text in ("public.orders", "emptied", "1,100 to 1,300", "1.0 MiB", "This is right"))
    done = browser.post(
        f"/admin/backups/backup/{marked.pk}/anomaly/", {"verdict": "right", "note": "<b>old</b>"}, follow=True
    ).content.decode()
    assert "Said to be right by" in done and "&lt;b&gt;old&lt;/b&gt;" in done and "This is right" not in done


def test_nothing_is_said_by_reading_nor_by_a_viewer(marked: Backup) -> None:
    address = f"/admin/backups/backup/{marked.pk}/anomaly/"
    assert browser_of("operator").get(address).status_code == 405
    viewer = browser_of("viewer")
    assert viewer.post(address, {"verdict": "right"}).status_code == 403
    assert "This is right" not in page(viewer, marked)
    assert Anomaly.objects.get().holds


def test_a_verdict_that_is_none_changes_nothing(browser: Client, marked: Backup) -> None:
    browser.post(f"/admin/backups/backup/{marked.pk}/anomaly/", {"verdict": "perhaps"})
    assert Anomaly.objects.get().state == "open"


def test_one_that_is_wrong_offers_the_way_back_when_a_good_one_came(
    browser: Client, shop: Database, marked: Backup
) -> None:
    browser.post(f"/admin/backups/backup/{marked.pk}/anomaly/", {"verdict": "wrong"})
    assert "No good one has come after it yet." in page(browser, marked)
    good = make_backup(shop)
    shown = page(browser, marked)
    assert "It is good again" in shown and good.pk in shown


def test_the_list_marks_it_by_shape_and_word(browser: Client, marked: Backup) -> None:
    assert "unlike those before it: to be looked at" in browser.get("/admin/backups/backup/").content.decode()
