"""When each phase of an attempt began and ended is kept, whatever becomes of the run."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError

from backups.models import Backup
from jobs.errors import BackupError
from jobs.lease import Lease
from jobs.models import LogLine, PhaseTime, Status
from jobs.phases import PhaseBook
from jobs.selectors import phase_times
from jobs.services.forget import forget_traces
from jobs.services.run import run_job
from tests.jobs.conftest import FakeKind

MakeJob = Callable[..., Backup]


def two_phases(job: Backup, lease: Lease) -> dict[str, Any]:
    lease.phase("preflight", moves_bytes=False)
    lease.phase("dump")
    lease.progress(700)
    return {}


def told(job: Backup) -> list[tuple[str, int, bool]]:
    job.refresh_from_db()
    return [(row.name, row.bytes_done, row.ended_at is not None) for row in phase_times(job)]


def test_each_phase_is_kept_with_its_bytes(kind: FakeKind, make_job: MakeJob) -> None:
    kind.work = two_phases
    job = make_job()
    run_job(kind_name="backup", job_id=job.pk)
    assert told(job) == [("preflight", 0, True), ("dump", 700, True)]
    first, second = phase_times(job)
    assert first.began_at <= (first.ended_at or first.began_at) == second.began_at


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What can be read of a run each time when its books have been closed."""
    found: list[Any] = []
    books = Lease.close_books

    def close(lease: Lease) -> None:
        books(lease)
        phases = told(lease.job)  # type: ignore[arg-type]  # which reads its row anew
        found.append((lease.job.status, phases, LogLine.objects.count()))

    monkeypatch.setattr(Lease, "close_books", close)
    return found


def test_all_is_written_before_the_end_can_be_seen(kind: FakeKind, make_job: MakeJob, seen: list[Any]) -> None:
    def work(job: Backup, lease: Lease) -> dict[str, Any]:
        two_phases(job, lease)
        lease.log("the last word")
        return {}

    kind.work = work
    run_job(kind_name="backup", job_id=make_job().pk)
    assert seen[0] == (Status.IN_PROGRESS, [("preflight", 0, True), ("dump", 700, True)], 1)


def test_also_what_the_heartbeat_is_writing(
    kind: FakeKind, make_job: MakeJob, seen: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    create = type(PhaseTime.objects).bulk_create

    def slow(manager: Any, rows: list[Any], **options: Any) -> Any:
        if not begun.is_set() and any(isinstance(row, PhaseTime) and row.ended_at for row in rows):
            begun.set()
            go_on.wait(60)
        return create(manager, rows, **options)

    def work(job: Backup, lease: Lease) -> dict[str, Any]:
        two_phases(job, lease)
        assert begun.wait(60)
        threading.Timer(0.3, go_on.set).start()
        return {}

    monkeypatch.setattr(type(PhaseTime.objects), "bulk_create", slow)
    kind.work = work
    run_job(kind_name="backup", job_id=make_job().pk)
    assert [name for name, _, _ in seen[0][1]] == ["preflight", "dump"]


def test_a_failed_attempt_ends_its_phase(kind: FakeKind, make_job: MakeJob) -> None:
    def work(job: Backup, lease: Lease) -> dict[str, Any]:
        lease.phase("dump")
        lease.progress(5)
        raise BackupError("no", code="no", permanent=True)

    kind.work = work
    job = make_job()
    run_job(kind_name="backup", job_id=job.pk)
    assert told(job) == [("dump", 5, True)]


def test_what_could_not_be_written_is_written_the_next_time(make_job: MakeJob, monkeypatch: Any) -> None:
    job = make_job(attempt=1)
    book = PhaseBook(job)
    book.enter("preflight", bytes_done=0)
    book.write()
    book.enter("dump", bytes_done=3)
    with monkeypatch.context() as away:
        away.setattr(type(PhaseTime.objects), "bulk_create", _refuse)
        with pytest.raises(OperationalError):
            book.write()
    book.close(bytes_done=9)
    book.write()
    book.write()
    assert told(job) == [("preflight", 3, True), ("dump", 9, True)]


def _refuse(*args: Any, **kwargs: Any) -> None:
    raise OperationalError("away")


def test_what_is_forgotten_leaves_no_trace(kind: FakeKind, make_job: MakeJob) -> None:
    kind.work = two_phases
    gone, kept = make_job(), make_job()
    for job in (gone, kept):
        run_job(kind_name="backup", job_id=job.pk)
    forget_traces(kind="backup", ids=[gone.pk])
    assert set(PhaseTime.objects.values_list("job_id", flat=True)) == {kept.pk}
