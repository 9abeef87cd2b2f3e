"""Ring a worker: a message that carries a job's kind and id. A lost or doubled one changes nothing."""

import logging
from functools import partial
from itertools import islice

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

from jobs.models import Job, Status
from jobs.registry import all_kinds

logger = logging.getLogger(__name__)

EXPIRES_S = 60  # the sweeper rings again long before a queue could fill up


def ring(job: Job) -> None:
    """After the transaction commits. A broker that is away is logged; the sweeper rings again."""
    kind, job_id, queue = job.kind, job.pk, job.queue
    transaction.on_commit(partial(_publish, kind, job_id, queue))


def ring_waiting(limit: int = 20) -> int:
    """Rings the oldest pending jobs of every kind and queue whose turn has come; returns how many.

    Those that still wait for their Database are passed over, or many of one would keep all others silent; so would
    those of a host that is away. A broker that is away takes seconds for each message: the first one it does not take
    ends the round.
    """
    rung = 0
    for kind in all_kinds():
        if not kind.has_room():
            continue
        pending = kind.model._default_manager.filter(status=Status.PENDING).order_by("created_at", "pk")
        for queue in pending.order_by("queue").values_list("queue", flat=True).distinct():
            for job in islice(filter(kind.may_start, pending.filter(queue=queue)), limit):
                if not _publish(kind.name, job.pk, job.queue):
                    return rung
                rung += 1
    return rung


def _publish(kind: str, job_id: str, queue: str) -> bool:
    """Whether the broker took it."""
    try:
        current_app.send_task(
            "jobs.run_job", args=[kind, job_id], queue=queue or None, expires=EXPIRES_S, ignore_result=True, retry=False
        )
    except (OperationalError, OSError) as error:
        logger.warning("the broker did not take the doorbell of %s: %s", job_id, type(error).__name__)
        return False
    return True
