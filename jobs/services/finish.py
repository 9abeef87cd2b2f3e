"""End an attempt: one transaction sets the status, the run's fields and what the hooks write."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import DateTimeField, ExpressionWrapper
from django.db.models.functions import Now

from jobs.errors import BackupError
from jobs.lease import LeaseLost
from jobs.models import OPEN, Job, Status
from jobs.registry import JobKind
from jobs.services.tally import SECONDS, observe

BACKOFF_S = (30, 120, 600)


def complete(*, kind: JobKind, job: Job, token: UUID, fields: dict[str, Any]) -> None:
    """`in_progress -> completed`. Raises LeaseLost when the row is no longer this attempt's."""
    _end(kind, job, token, {"status": Status.COMPLETED, "finished_at": Now(), "phase": "", **fields})


def fail(*, kind: JobKind, job: Job, token: UUID, error: BackupError) -> None:
    """`in_progress -> failed`, or `-> scheduled` for the next attempt when the failure may pass.

    A job that somebody asked to stop does not come back, also when they ask while it ends: its row is locked.
    """
    with transaction.atomic():
        row = kind.model._default_manager.select_for_update().filter(pk=job.pk).first()
        if row is not None and row.cancel_requested:
            cancel_running(kind=kind, job=job, token=token)
        else:
            _end(kind, job, token, _failed(job, error))


def _failed(job: Job, error: BackupError) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "error_code": error.code,
        "error_message": error.message,
        "error_hint": error.hint,
        "status": Status.FAILED,
        "finished_at": Now(),
        "bytes_per_s": 0,
    }
    if not error.permanent and job.attempt < job.max_attempts:
        pause = timedelta(seconds=BACKOFF_S[min(job.attempt, len(BACKOFF_S)) - 1])
        fields["status"] = Status.SCHEDULED
        fields["scheduled_at"] = ExpressionWrapper(Now() + pause, output_field=DateTimeField())
    return fields


def cancel_running(*, kind: JobKind, job: Job, token: UUID) -> None:
    """`in_progress -> cancelled`, after the run has stopped."""
    fields = {"status": Status.CANCELLED, "finished_at": Now(), "bytes_per_s": 0}
    _end(kind, job, token, {**fields, "error_code": "cancelled", "error_message": "The run was cancelled."})


def _end(kind: JobKind, job: Job, token: UUID, fields: dict[str, Any]) -> None:
    with transaction.atomic():
        rows = kind.model._default_manager.filter(pk=job.pk, status=Status.IN_PROGRESS, lease_token=token)
        if not rows.update(lease_token=None, lease_expires_at=None, **fields):
            raise LeaseLost(f"{job.pk}: another process has taken the job over")
        job.refresh_from_db()
        if job.status not in OPEN:
            _tally(kind, job)
        kind.ended(job)


def _tally(kind: JobKind, job: Job) -> None:
    seconds = job.duration_s or 0.0
    observe("backupsite_job_duration_seconds", seconds, bounds=SECONDS, kind=kind.name, status=job.status)
