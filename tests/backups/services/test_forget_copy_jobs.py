"""Copy jobs that have ended are forgotten at the age of failures, and nothing else goes with them."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from backups.models import Backup, Copy, CopyJob
from backups.services.forget_copy_jobs import forget_copy_jobs
from databases.models import Policy
from jobs.models import LogLine, PhaseTime, Status
from jobs.registry import sweep_steps
from tests.api import make_backup, make_database, make_destination

pytestmark = pytest.mark.django_db


@pytest.fixture
def backup(tmp_path: Path) -> Backup:
    return make_backup(make_database(), destination=make_destination(tmp_path / "disk"))


def ended(backup: Backup, status: str, *, days: int) -> CopyJob:
    job = CopyJob.objects.create(
        backup=backup,
        backup_label=backup.pk,
        destination=backup.copies.get().destination,
        status=status,
        finished_at=timezone.now() - timedelta(days=days),
    )
    LogLine.objects.create(job_kind=CopyJob.kind, job_id=job.pk, attempt=1, message="copying")
    PhaseTime.objects.create(
        job_kind=CopyJob.kind, job_id=job.pk, attempt=1, number=1, name="copy", began_at=timezone.now()
    )
    return job


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED, Status.CANCELLED])
def test_old_ones_go_with_their_logs(backup: Backup, status: str) -> None:
    ended(backup, status, days=31)
    young = ended(backup, status, days=29)
    assert [forget_copy_jobs(), forget_copy_jobs()] == [1, 0]
    assert list(CopyJob.objects.all()) == [young]
    assert [line.job_id for line in LogLine.objects.all()] == [time.job_id for time in PhaseTime.objects.all()]
    assert LogLine.objects.get().job_id == young.pk
    assert Copy.objects.get().state == Copy.State.STORED


def test_one_that_is_to_run_again_stays(backup: Backup) -> None:
    ended(backup, Status.SCHEDULED, days=400)  # after a failed attempt
    assert forget_copy_jobs() == 0


def test_none_goes_where_the_policy_says_never(backup: Backup) -> None:
    Policy.objects.create(failed_days=0)
    ended(backup, Status.FAILED, days=4000)
    assert forget_copy_jobs() == 0


def test_the_sweeper_does_it() -> None:
    assert forget_copy_jobs in sweep_steps(slow=True).values()
