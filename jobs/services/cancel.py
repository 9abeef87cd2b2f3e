"""Cancel a job: at once while it waits, through its heartbeat while it runs."""

from django.db import transaction
from django.db.models.functions import Now

from jobs.errors import BackupError
from jobs.models import Job, Status
from jobs.registry import kind_of


def cancel_job(*, job: Job) -> Job:
    """Raises BackupError(code="wrong_state") when the job has ended."""
    kind = kind_of(job.kind)
    rows = kind.model._default_manager.filter(pk=job.pk)
    with transaction.atomic():
        rows.select_for_update().first()  # an attempt that ends now has ended, or sees that it was asked to stop
        waiting = rows.filter(status__in=[Status.SCHEDULED, Status.PENDING])
        if waiting.update(
            status=Status.CANCELLED,
            finished_at=Now(),
            cancel_requested=True,
            error_code="cancelled",
            error_message="The run was cancelled.",
        ):
            job.refresh_from_db()
            kind.ended(job)
            return job
        asked = rows.filter(status=Status.IN_PROGRESS).update(cancel_requested=True)
    job.refresh_from_db()
    if not asked:
        raise BackupError(
            f"{job.pk} is {job.status}: only a job that waits or runs can be cancelled.",
            code="wrong_state",
            permanent=True,
        )
    return job
