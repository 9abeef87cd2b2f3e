"""`/readyz` says what keeps the site from its work."""

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone

from backups.models import Backup, Destination
from backupsite.health import destination
from databases.models import Database
from jobs.models import Process, Status
from jobs.services.report_alive import report_alive
from tests.backupsite.site import until
from tests.live import busy
from tests.room import local_destination


@pytest.fixture
def ready(transactional_db: None, tmp_path: Path) -> Iterator[Destination]:
    cache.clear()
    report_alive(role="worker")
    report_alive(role="sweeper")
    yield local_destination(tmp_path / "store")
    cache.clear()


def reasons() -> set[str]:
    answer = Client().get("/readyz")
    if answer.status_code == 200:
        return set()
    assert answer.status_code == 503
    assert answer["Content-Type"] == "application/problem+json"
    return {reason["check"] for reason in answer.json()["reasons"]}


def pending(**values: Any) -> Backup:
    database = Database.objects.create(name="shop", engine="postgres")
    return Backup.objects.create(database=database, database_name="shop", engine="postgres", **values)


@pytest.mark.usefixtures("ready")
def test_a_site_that_can_work_is_ready() -> None:
    assert reasons() == set()
    assert Client().head("/readyz").status_code == 200


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize("role", ["worker", "sweeper"])
def test_a_process_not_seen_for_a_minute_is_a_reason(role: str) -> None:
    Process.objects.filter(role=role).update(seen_at=timezone.now() - timedelta(seconds=61))
    assert reasons() == {role}


@pytest.mark.usefixtures("ready")
def test_a_job_that_could_run_and_waits_is_a_reason() -> None:
    job = pending(created_at=timezone.now() - timedelta(minutes=3))
    assert reasons() == {"queue"}
    Backup.objects.filter(pk=job.pk).update(created_at=timezone.now())
    assert reasons() == set()


@pytest.mark.usefixtures("ready")
def test_a_job_whose_turn_has_not_come_is_none() -> None:
    job = pending(created_at=timezone.now() - timedelta(minutes=3))
    Backup.objects.create(database=job.database, database_name="shop", engine="postgres", status=Status.IN_PROGRESS)
    assert reasons() == set()


@pytest.mark.usefixtures("ready")
def test_waiting_for_room_is_none(settings: Any) -> None:
    settings.BACKUPSITE_MAX_PARALLEL_JOBS = 1
    pending(created_at=timezone.now() - timedelta(minutes=3))
    other = Database.objects.create(name="other", engine="postgres")
    Backup.objects.create(database=other, database_name="other", engine="postgres", status=Status.IN_PROGRESS)
    assert reasons() == set()


def test_a_destination_that_fails_is_a_reason_without_details(ready: Destination) -> None:
    Destination.objects.filter(pk=ready.pk).update(path="/proc/nowhere")
    assert reasons() == {"destination"}
    assert "/proc" not in Client().get("/readyz").content.decode()


@pytest.mark.usefixtures("ready")
def test_a_destination_that_never_answers_is_a_reason_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    released, asked = threading.Event(), []

    def hang(found: Destination) -> str:
        asked.append(found.pk)
        released.wait(20)
        return ""

    monkeypatch.setattr(destination, "fault_of", hang)
    monkeypatch.setattr(destination, "WAIT_S", 0.1)
    began = time.monotonic()
    assert [reasons() for _ in range(3)] == [{"destination"}] * 3
    cache.clear()
    assert reasons() == {"destination"}
    assert (len(asked), time.monotonic() - began < 5 * busy()) == (1, True)
    released.set()
    until(lambda: reasons() == set(), seconds=5, what="the look to end")


def test_the_destination_is_asked_once_a_minute(ready: Destination) -> None:
    assert reasons() == set()
    Destination.objects.filter(pk=ready.pk).update(path="/proc/nowhere")
    assert reasons() == set()


@pytest.mark.usefixtures("ready")
def test_a_site_database_that_is_away_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise OperationalError("password=secret")

    with monkeypatch.context() as patch:  # undone before the rows are cleaned up
        patch.setattr(connection, "cursor", away)
        assert reasons() == {"database"}
        assert Client().get("/healthz").status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_only_reading_is_allowed(path: str) -> None:
    assert Client().post(path).status_code == 405


def test_the_root_leads_to_the_admin() -> None:
    assert Client().get("/").headers["Location"] == "/admin/"
