"""A run that does not stop when it is told to."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import jobs.lease
from backups.models import Backup
from jobs.lease import Lease
from jobs.models import LogLine, Status
from jobs.services.run import run_job
from jobs.services.sweep import end_lost
from tests.jobs.conftest import FakeKind


def test_its_process_is_ended_and_its_row_with_the_lease(
    kind: FakeKind, make_job: Callable[..., Backup], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs.lease, "HEARTBEAT_S", 0.05)
    monkeypatch.setattr(jobs.lease, "UNWIND_S", 0.2)
    ended = threading.Event()
    monkeypatch.setattr(jobs.lease, "_end_stuck", ended.set)
    job = make_job()

    def hang(backup: Backup, lease: Lease) -> dict[str, Any]:
        Backup.objects.filter(pk=backup.pk).update(cancel_requested=True)
        assert ended.wait(10)
        Backup.objects.filter(pk=backup.pk).update(lease_expires_at=backup.created_at)
        time.sleep(0.2)  # no heartbeat renews it
        assert end_lost() == 1
        return {}

    kind.work = hang
    run_job(kind_name="backup", job_id=job.pk)
    job.refresh_from_db()
    assert job.status == Status.CANCELLED
    assert LogLine.objects.filter(job_id=job.pk, message__contains="told to stop and hangs").exists()
