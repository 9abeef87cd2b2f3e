"""Run one job to its end: claim, work under the lease, finish. The one Celery task calls it."""

import logging
import os
import socket
import time
from collections.abc import Callable
from functools import partial

from django.db import Error as DatabaseFault
from django.db import connection

from jobs.errors import BackupError
from jobs.lease import JobCancelled, Lease, LeaseLost
from jobs.registry import JobKind, kind_of
from jobs.services.claim import claim
from jobs.services.finish import cancel_running, complete, fail
from jobs.services.ring import ring_waiting

logger = logging.getLogger(__name__)

FINISH_TRIES = 5


def run_job(*, kind_name: str, job_id: str) -> None:
    """Does nothing when the job is not pending or its turn has not come. Raises what is a bug, after recording it."""
    kind = kind_of(kind_name)
    lease = claim(kind=kind, job_id=job_id, worker=f"{socket.gethostname()}:{os.getpid()}")
    if lease is None:
        return
    try:
        _run(kind, lease)
    finally:
        ring_waiting()


def _run(kind: JobKind, lease: Lease) -> None:
    job, token = lease.job, lease.token
    logger.info("%s started", job.pk, extra={"job": job.pk, "attempt": job.attempt})
    try:
        with lease:
            fields = kind.run(job, lease)
            lease.check()
            lease.close_books()
            _persist(lambda: complete(kind=kind, job=job, token=token, fields=fields))
    except LeaseLost as lost:
        logger.warning("%s", lost)
        return
    except JobCancelled:
        _settle(partial(cancel_running, kind=kind, job=job, token=token))
    except BackupError as error:
        _settle(partial(fail, kind=kind, job=job, token=token, error=error))
    except BaseException as error:
        # A bug, or this process is being stopped: either way the row must say so, and the cause must go on.
        _settle(partial(fail, kind=kind, job=job, token=token, error=_unexpected(error)))
        raise
    extra = {"job": job.pk, "attempt": job.attempt, "error": job.error_code}
    if job.error_code not in ("", job.status):  # "cancelled" is both
        logger.info("%s %s: %s", job.pk, job.status, job.error_code, extra=extra)
    else:
        logger.info("%s %s in %.1f s", job.pk, job.status, job.duration_s or 0, extra=extra)


def _settle(write: Callable[[], None]) -> None:
    """Writes how an attempt ended that did not complete, unless the sweeper was faster."""
    try:
        _persist(write)
    except LeaseLost as lost:
        logger.warning("%s", lost)


def _persist(write: Callable[[], None]) -> None:
    """Writes the outcome; a site database that is away for a moment is tried again within the lease."""
    for tries_left in reversed(range(FINISH_TRIES)):
        try:
            write()
        except DatabaseFault:
            if not tries_left:
                raise
            connection.close()
            time.sleep(2)
        else:
            return


def _unexpected(error: BaseException) -> BackupError:
    """The exception's text stays out of the row: it may quote a secret. The log has the traceback."""
    if isinstance(error, Exception):
        return BackupError(
            f"Unexpected {type(error).__name__} while running.",
            code="internal_error",
            hint="This is a defect: the worker's log holds the traceback.",
        )
    return BackupError("The worker was stopped during the run.", code="worker_stopped")
