"""One process gets a job, never more than there is room for, in the order they were asked for."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from backups.models import Backup
from jobs.models import Status
from jobs.registry import kind_of
from jobs.services.claim import claim
from jobs.services.sweep import sweep
from tests.jobs.conftest import FakeKind

MakeJob = Callable[..., Backup]


def claims_of(jobs: list[Backup]) -> list[str]:
    """Claims every job from a thread of its own at the same moment; the ids that were won."""
    won: list[str] = []
    together = threading.Barrier(len(jobs))

    def one(job: Backup) -> None:
        try:
            together.wait()
            if claim(kind=kind_of("backup"), job_id=job.pk, worker="test"):
                won.append(job.pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return won


def test_twenty_claims_of_one_job_have_one_winner(kind: FakeKind, make_job: MakeJob) -> None:
    job = make_job()
    assert claims_of([job] * 20) == [job.pk]


def test_no_more_jobs_run_than_there_is_room_for(kind: FakeKind, make_job: MakeJob, settings: Any) -> None:
    settings.BACKUPSITE_MAX_PARALLEL_JOBS = 3
    assert len(claims_of([make_job() for _ in range(10)])) == 3
    assert Backup.objects.filter(status=Status.IN_PROGRESS).count() == 3


def test_twenty_backups_of_one_database_have_one_in_progress(kind: FakeKind, make_job: MakeJob) -> None:
    first = make_job()
    jobs = [
        Backup.objects.create(database_id=first.database_id, database_name="x", engine="postgres") for _ in range(20)
    ]
    assert len(claims_of(jobs)) == 1


def test_a_job_whose_turn_has_not_come_stays_pending(kind: FakeKind, make_job: MakeJob) -> None:
    kind.turn = False
    job = make_job()
    assert claims_of([job]) == []
    job.refresh_from_db()
    assert job.status == Status.PENDING


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [(False, Status.FAILED, "worker_lost"), (True, Status.CANCELLED, "cancelled")],
)
def test_the_sweeper_ends_a_job_whose_lease_ran_out(
    kind: FakeKind, make_job: MakeJob, asked: bool, status: str, code: str
) -> None:
    job = make_job()
    assert claims_of([job])
    Backup.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1), cancel_requested=asked)
    sweep()
    job.refresh_from_db()
    assert (job.status, job.error_code) == (status, code)
    assert kind.ends == [status]


def test_the_sweeper_leaves_a_job_whose_lease_holds(kind: FakeKind, make_job: MakeJob) -> None:
    job = make_job()
    assert claims_of([job])
    sweep()
    job.refresh_from_db()
    assert job.status == Status.IN_PROGRESS


def test_a_scheduled_job_waits_for_its_time(kind: FakeKind, make_job: MakeJob) -> None:
    early = make_job(status=Status.SCHEDULED, scheduled_at=timezone.now() - timedelta(seconds=1))
    later = make_job(status=Status.SCHEDULED, scheduled_at=timezone.now() + timedelta(hours=1))
    sweep()
    early.refresh_from_db()
    later.refresh_from_db()
    assert (early.status, later.status) == (Status.PENDING, Status.SCHEDULED)


def test_a_sweep_step_that_raises_does_not_stop_the_others(
    kind: FakeKind, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs import registry

    def broken() -> int:
        raise RuntimeError("a defect")

    monkeypatch.setattr(registry, "_sweep_steps", {"broken": broken, "works": lambda: 7})
    assert sweep()["works"] == 7


def test_a_job_that_cannot_be_ended_does_not_keep_the_others_in_progress(
    kind: FakeKind, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [make_job(), make_job()]
    assert len(claims_of(jobs)) == 2
    Backup.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))

    class Refusing(list[str]):
        def append(self, status: str) -> None:
            if not self:
                super().append(status)
                raise RuntimeError("a defect")
            super().append(status)

    kind.ends = Refusing()
    sweep()
    assert sorted(Backup.objects.values_list("status", flat=True)) == [Status.FAILED, Status.IN_PROGRESS]


def test_a_slow_step_is_no_part_of_the_quick_round(monkeypatch: pytest.MonkeyPatch, transactional_db: None) -> None:
    from jobs import registry
    from jobs.services.sweep import sweep_quickly, sweep_slowly

    monkeypatch.setattr(registry, "_sweep_steps", {})
    monkeypatch.setattr(registry, "_slow_steps", set())
    registry.register_sweep_step("slots", lambda: 1)
    registry.register_sweep_step("remove_copies", lambda: 2, slow=True)
    assert "remove_copies" not in sweep_quickly()
    assert sweep_slowly() == {"remove_copies": 2}
    assert sweep()["slots"] == 1
