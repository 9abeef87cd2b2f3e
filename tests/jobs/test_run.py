"""One run from claim to finish, whatever happens in between."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

import jobs.lease
from backups.models import Backup
from jobs.errors import BackupError
from jobs.lease import JobCancelled, Lease, LeaseLost
from jobs.models import Job, LogLine, Status
from jobs.registry import kind_of
from jobs.services.cancel import cancel_job
from jobs.services.claim import claim
from jobs.services.run import run_job
from jobs.services.sweep import sweep
from tests.jobs.conftest import FakeKind

MakeJob = Callable[..., Backup]


def run(job: Job) -> Job:
    run_job(kind_name="backup", job_id=job.pk)
    job.refresh_from_db()
    return job


def test_a_run_that_returns_is_completed_with_its_fields(kind: FakeKind, make_job: MakeJob) -> None:
    kind.work = lambda job, lease: {"size": 7}
    job = run(make_job())
    assert (job.status, job.attempt) == (Status.COMPLETED, 1)
    assert Backup.objects.get().size == 7
    assert job.finished_at is not None and job.lease_token is None
    assert kind.ends == [Status.COMPLETED]


def test_a_permanent_failure_is_failed_at_once_with_its_hint(kind: FakeKind, make_job: MakeJob) -> None:
    def work(job: Backup, lease: Lease) -> dict[str, Any]:
        raise BackupError("wrong password", code="auth", permanent=True, hint="Give the right one.")

    kind.work = work
    job = run(make_job(max_attempts=3))
    assert (job.status, job.error_code, job.error_hint) == (Status.FAILED, "auth", "Give the right one.")


def test_a_passing_failure_comes_back_until_its_attempts_are_used(kind: FakeKind, make_job: MakeJob) -> None:
    def work(job: Backup, lease: Lease) -> dict[str, Any]:
        raise BackupError("connection reset", code="unreachable")

    kind.work = work
    job = run(make_job(max_attempts=2))
    assert job.status == Status.SCHEDULED
    assert job.scheduled_at is not None and job.scheduled_at > timezone.now() + timedelta(seconds=20)
    Backup.objects.filter(pk=job.pk).update(scheduled_at=Now())
    sweep()
    assert run(job).status == Status.FAILED
    assert job.attempt == 2


def test_an_unexpected_error_fails_the_job_keeps_its_text_out_and_goes_on(kind: FakeKind, make_job: MakeJob) -> None:
    def work(job: Backup, lease: Lease) -> dict[str, Any]:
        raise ValueError("hunter2")

    kind.work = work
    job = make_job()
    with pytest.raises(ValueError):
        run(job)
    job.refresh_from_db()
    assert (job.status, job.error_code) == (Status.FAILED, "internal_error")
    assert "hunter2" not in job.error_message + job.error_hint


def test_an_unexpected_error_in_the_finish_step_is_never_completed(kind: FakeKind, make_job: MakeJob) -> None:
    kind.work = lambda job, lease: {"no_such_field": 1}
    job = make_job()
    with pytest.raises(Exception, match="no_such_field"):
        run(job)
    job.refresh_from_db()
    assert job.status == Status.FAILED


def test_a_worker_that_is_stopped_hands_the_job_back(kind: FakeKind, make_job: MakeJob) -> None:
    def work(job: Backup, lease: Lease) -> dict[str, Any]:
        raise SystemExit(1)

    kind.work = work
    job = make_job(max_attempts=2)
    with pytest.raises(SystemExit):
        run(job)
    job.refresh_from_db()
    assert (job.status, job.error_code) == (Status.SCHEDULED, "worker_stopped")


def test_a_message_delivered_twice_runs_the_job_once(kind: FakeKind, make_job: MakeJob) -> None:
    done: list[str] = []

    def work(job: Backup, lease: Lease) -> dict[str, Any]:
        done.append(job.pk)
        return {}

    kind.work = work
    job = run(make_job())
    run(job)
    assert done == [job.pk]


def test_a_late_message_for_a_cancelled_job_does_nothing(kind: FakeKind, make_job: MakeJob) -> None:
    job = cancel_job(job=make_job())
    assert run(job).status == Status.CANCELLED
    assert job.attempt == 0


def test_a_finished_job_cannot_be_cancelled(kind: FakeKind, make_job: MakeJob) -> None:
    job = run(make_job())
    with pytest.raises(BackupError) as caught:
        cancel_job(job=job)
    assert caught.value.code == "wrong_state"


def test_cancelling_a_running_job_stops_it_through_its_heartbeat(
    kind: FakeKind, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs.lease, "HEARTBEAT_S", 0.05)
    aborted = threading.Event()

    def work(job: Backup, lease: Lease) -> dict[str, Any]:
        lease.on_abort(aborted.set)
        cancel_job(job=job)
        assert aborted.wait(5)
        with pytest.raises(JobCancelled):
            lease.check()
        lease.check()
        return {}

    kind.work = work
    assert run(make_job()).status == Status.CANCELLED


def test_a_job_that_was_asked_to_stop_does_not_come_back(kind: FakeKind, make_job: MakeJob) -> None:
    def work(job: Backup, lease: Lease) -> dict[str, Any]:
        cancel_job(job=job)
        raise BackupError("connection reset", code="unreachable")

    kind.work = work
    assert run(make_job(max_attempts=3)).status == Status.CANCELLED


def test_progress_phase_and_log_reach_the_row(
    kind: FakeKind, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs.lease, "HEARTBEAT_S", 0.05)
    seen: list[Backup] = []

    def work(job: Backup, lease: Lease) -> dict[str, Any]:
        lease.phase("dump", estimate=100)
        lease.progress(40)
        lease.log("dumping")
        time.sleep(0.4)
        seen.append(Backup.objects.get(pk=job.pk))
        return {}

    kind.work = work
    job = run(make_job())
    assert (seen[0].phase, seen[0].bytes_done, seen[0].bytes_total_estimate) == ("dump", 40, 100)
    assert [line.message for line in LogLine.objects.filter(job_id=job.pk)] == ["dumping"]


def test_no_byte_for_too_long_ends_a_job_whose_heart_still_beats(
    kind: FakeKind, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr(jobs.lease, "HEARTBEAT_S", 0.05)
    settings.BACKUPSITE_STALL_TIMEOUT_S = 0.2

    def work(job: Backup, lease: Lease) -> dict[str, Any]:
        lease.phase("dump")
        for _ in range(100):
            time.sleep(0.05)
            lease.check()
        return {}

    kind.work = work
    assert run(make_job()).error_code == "stalled"


def test_a_run_longer_than_allowed_is_stopped(
    kind: FakeKind, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr(jobs.lease, "HEARTBEAT_S", 0.05)
    settings.BACKUPSITE_MAX_DURATION_S = 0.2

    def work(job: Backup, lease: Lease) -> dict[str, Any]:
        for count in range(100):
            time.sleep(0.05)
            lease.progress(count)
            lease.check()
        return {}

    kind.work = work
    assert run(make_job()).error_code == "max_duration"


def test_a_zombie_finds_its_lease_gone_and_writes_nothing(
    kind: FakeKind, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs.lease, "HEARTBEAT_S", 0.05)

    def work(job: Backup, lease: Lease) -> dict[str, Any]:
        Backup.objects.filter(pk=job.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
        with connection.cursor():
            sweep()
        with pytest.raises(LeaseLost):
            for _ in range(100):
                time.sleep(0.05)
                lease.check()
        return {"size": 99}

    kind.work = work
    job = run(make_job(max_attempts=3))
    assert (job.status, job.error_code) == (Status.SCHEDULED, "worker_lost")
    assert Backup.objects.get().size is None


def test_a_process_frozen_past_its_lease_stops_before_its_next_block(
    kind: FakeKind, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = claim(kind=kind_of("backup"), job_id=make_job().pk, worker="test")
    assert lease is not None
    frozen = time.monotonic() + 61
    monkeypatch.setattr(time, "monotonic", lambda: frozen)
    with pytest.raises(LeaseLost):
        lease.check()
