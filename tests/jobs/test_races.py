"""Two who write one row at the same time, and lines that a database refuses."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection

import jobs.lease
from backups.models import Backup
from jobs.errors import BackupError
from jobs.lease import LONGEST_LINE, Lease
from jobs.models import LogLine, Status
from jobs.services import finish
from jobs.services.cancel import cancel_job
from jobs.services.run import run_job
from tests.jobs.conftest import FakeKind

MakeJob = Callable[..., Backup]


def test_a_job_that_is_cancelled_as_its_attempt_fails_does_not_come_back(
    kind: FakeKind, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cancel falls between the question whether there was one and the write that schedules the next attempt."""
    job = make_job(max_attempts=3)
    end = finish._end
    refused: list[BackupError] = []

    def cancel() -> None:
        try:
            cancel_job(job=Backup.objects.get(pk=job.pk))
        except BackupError as error:
            refused.append(error)
        finally:
            connection.close()

    canceller = threading.Thread(target=cancel)

    def end_while_it_is_cancelled(*args: Any) -> None:
        canceller.start()
        canceller.join(0.5)
        end(*args)

    def work(backup: Backup, lease: Lease) -> dict[str, Any]:
        raise BackupError("connection reset", code="unreachable")

    monkeypatch.setattr(finish, "_end", end_while_it_is_cancelled)
    kind.work = work
    run_job(kind_name="backup", job_id=job.pk)
    canceller.join()
    job.refresh_from_db()
    assert job.status == Status.CANCELLED
    assert refused == []


@pytest.fixture
def refusing(transactional_db: None) -> Iterator[None]:
    """A site database that refuses lines that say so."""
    if connection.vendor != "sqlite":
        pytest.skip("the trigger is written for SQLite")
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON jobs_logline WHEN NEW.message = 'refused' "
            "BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
        yield
        cursor.execute("DROP TRIGGER refuse")


def lines_of(job: Backup) -> list[str]:
    return list(LogLine.objects.filter(job_id=job.pk).order_by("id").values_list("message", flat=True))


def test_a_line_that_is_refused_keeps_no_other_out(
    kind: FakeKind, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, refusing: None
) -> None:
    monkeypatch.setattr(jobs.lease, "HEARTBEAT_S", 0.05)
    left: list[Any] = []

    def work(backup: Backup, lease: Lease) -> dict[str, Any]:
        for line in ("before", "refused", "after"):
            lease.log(line)
        time.sleep(0.4)
        left.extend(lease._lines)
        return {}

    kind.work = work
    job = make_job()
    run_job(kind_name="backup", job_id=job.pk)
    assert lines_of(job) == ["before", "after"]
    assert left == []


def test_any_line_can_be_stored(kind: FakeKind, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """NUL is no text for PostgreSQL, half a surrogate pair for nobody; either would end the heartbeat."""
    monkeypatch.setattr(jobs.lease, "HEARTBEAT_S", 0.05)

    def work(backup: Backup, lease: Lease) -> dict[str, Any]:
        lease.log("a\0b\udc80c")
        lease.log("x" * (LONGEST_LINE + 5))
        time.sleep(0.3)
        assert lease._thread.is_alive()
        return {}

    kind.work = work
    job = make_job()
    run_job(kind_name="backup", job_id=job.pk)
    assert lines_of(job) == ["ab?c", "x" * LONGEST_LINE]
