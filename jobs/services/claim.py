"""Claim a pending job: one process gets it, with a lease, or nobody does."""

import logging
import uuid

from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from jobs.lease import Lease, lease_end
from jobs.models import Capacity, Job, Status
from jobs.registry import JobKind, all_kinds
from jobs.selectors import max_parallel_jobs

logger = logging.getLogger(__name__)


def claim(*, kind: JobKind, job_id: str, worker: str) -> Lease | None:
    """Moves `pending -> in_progress` and hands out the lease; None when it is not pending, not its turn, or no room."""
    token = uuid.uuid4()
    try:
        with transaction.atomic():
            return _claim(kind, job_id, worker, token)
    except IntegrityError:
        # The partial unique constraint: another job of the same Database is in progress.
        logger.info("%s waits: its Database is busy", job_id)
        return None


def running() -> int:
    """How many jobs of all kinds are in progress."""
    return sum(kind.model._default_manager.filter(status=Status.IN_PROGRESS).count() for kind in all_kinds())


def _claim(kind: JobKind, job_id: str, worker: str, token: uuid.UUID) -> Lease | None:
    Capacity.objects.select_for_update().get_or_create(pk=1)
    rows = kind.model._default_manager.filter(pk=job_id, status=Status.PENDING)
    job: Job | None = rows.select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked).first()
    if job is None or running() >= max_parallel_jobs() or not kind.has_room() or not kind.may_start(job):
        return None
    won = rows.update(
        status=Status.IN_PROGRESS,
        attempt=F("attempt") + 1,
        started_at=Now(),
        finished_at=None,
        lease_token=token,
        lease_expires_at=lease_end(),
        worker=worker,
        phase="",
        bytes_done=0,
        bytes_per_s=0,
        bytes_total_estimate=None,
        error_code="",
        error_message="",
        error_hint="",
    )
    if not won:
        return None
    job.refresh_from_db()
    return Lease(job, token)
