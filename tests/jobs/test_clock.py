"""Leases are measured by the site database's clock, whatever a host believes."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from backups.models import Backup
from jobs.lease import Lease
from jobs.models import Status
from jobs.services.run import run_job
from jobs.services.sweep import end_lost, promote
from tests.jobs.conftest import FakeKind


@pytest.mark.parametrize("days", [-1, 1])
def test_a_host_whose_clock_is_a_day_off_ends_no_run_and_starts_none_early(
    kind: FakeKind, make_job: Callable[..., Backup], monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    true = timezone.now
    later = make_job(status=Status.SCHEDULED, scheduled_at=true() + timedelta(hours=1))
    job = make_job()
    monkeypatch.setattr("django.utils.timezone.now", lambda: true() + timedelta(days=days))
    ended: list[int] = []

    def work(backup: Backup, lease: Lease) -> dict[str, Any]:
        ended.extend([end_lost(), promote()])
        Backup.objects.filter(pk=backup.pk).update(lease_expires_at=Now() - timedelta(seconds=1))
        ended.append(end_lost())
        return {}

    kind.work = work
    run_job(kind_name="backup", job_id=job.pk)
    later.refresh_from_db()
    assert (ended, later.status) == ([0, 0, 1], Status.SCHEDULED)
