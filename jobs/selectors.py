"""Reads of jobs: their logs, and who is alive."""

from datetime import timedelta

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from jobs.models import Capacity, Job, LogLine, PhaseTime, Process


def max_parallel_jobs() -> int:
    """How many jobs of all kinds may run at once: as config.yaml says, else as the setting says."""
    chosen = Capacity.objects.values_list("max_parallel_jobs", flat=True).first()
    return int(chosen or settings.BACKUPSITE_MAX_PARALLEL_JOBS)


def log_lines(job: Job) -> QuerySet[LogLine]:
    """A job's log, oldest first."""
    return LogLine.objects.filter(job_kind=job.kind, job_id=job.pk).order_by("id")


def log_text(job: Job) -> str:
    return "".join(f"{line}\n" for line in log_lines(job))


def phase_times(job: Job) -> list[PhaseTime]:
    """The phases of the job's last attempt, in their order."""
    rows = PhaseTime.objects.filter(job_kind=job.kind, job_id=job.pk, attempt=job.attempt)
    return list(rows.order_by("number"))


def alive(role: str, *, within: timedelta = timedelta(seconds=60)) -> list[Process]:
    """Processes of a role that were seen lately, the latest first."""
    return list(Process.objects.filter(role=role, seen_at__gte=timezone.now() - within).order_by("-seen_at"))
