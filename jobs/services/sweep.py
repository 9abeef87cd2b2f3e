"""One round of the sweeper: what nobody else may have done is done here, every BACKUPSITE_SWEEP_S seconds."""

import logging
from collections.abc import Callable

from django.db import Error as DatabaseFault
from django.db import connection
from django.db.models.functions import Now

from jobs.errors import BackupError
from jobs.lease import LeaseLost
from jobs.models import Job, LogLine, Status
from jobs.registry import JobKind, all_kinds, sweep_steps
from jobs.services.finish import cancel_running, fail
from jobs.services.ring import ring_waiting
from jobs.services.tally import add

logger = logging.getLogger(__name__)

WORKER_LOST = BackupError(
    "The worker died during the run: its lease ran out.",
    code="worker_lost",
    hint="Look for a kill by the kernel (memory), a restart of the host, or a crash in the worker's log.",
)


def sweep() -> dict[str, int]:
    """One whole round, slow steps last; returns what each step changed."""
    return sweep_quickly() | sweep_slowly()


def sweep_quickly() -> dict[str, int]:
    """The steps that only the site's database and broker can hold up."""
    return _run({"end_lost": end_lost, "promote": promote, **sweep_steps(slow=False), "ring": ring_waiting})


def sweep_slowly() -> dict[str, int]:
    """The steps that talk to others, who may not answer."""
    return _run(sweep_steps(slow=True))


def _run(steps: dict[str, Callable[[], int]]) -> dict[str, int]:
    """Runs every step, also when one raises."""
    changed: dict[str, int] = {}
    for name, step in steps.items():
        try:
            changed[name] = step()
        except DatabaseFault:
            logger.exception("sweep step %s failed", name)
            connection.close()
        except Exception:
            # A fault of one step must not keep the others from their work; it is logged and tried again next round.
            logger.exception("sweep step %s failed", name)
    return changed


def promote() -> int:
    """`scheduled -> pending` for every job whose time has come."""
    return sum(
        kind.model._default_manager.filter(status=Status.SCHEDULED, scheduled_at__lte=Now()).update(
            status=Status.PENDING
        )
        for kind in all_kinds()
    )


def end_lost() -> int:
    """Ends, retries or cancels every job whose lease ran out."""
    ended = 0
    for kind in all_kinds():
        for job in kind.model._default_manager.filter(status=Status.IN_PROGRESS, lease_expires_at__lt=Now()):
            try:
                ended += _end_lost(kind, job)
            except Exception:
                # One row that cannot be ended must not keep the others in progress; it is tried again next round.
                logger.exception("%s cannot be ended", job.pk)
    return ended


def _end_lost(kind: JobKind, job: Job) -> int:
    assert job.lease_token is not None
    try:
        LogLine.objects.create(job_kind=kind.name, job_id=job.pk, attempt=job.attempt, message=WORKER_LOST.message)
        if job.cancel_requested:
            cancel_running(kind=kind, job=job, token=job.lease_token)
        else:
            fail(kind=kind, job=job, token=job.lease_token, error=WORKER_LOST)
    except LeaseLost:
        return 0  # it ended by itself meanwhile
    add("backupsite_leases_lost", kind=kind.name)
    return 1
