"""Abort the uploads that a killed restore has left in its target: stores keep the parts, and bill them, for ever."""

import logging
import time
from datetime import timedelta

from django.utils import timezone

from backups.models import Restore
from databases.services.build_engine import build_engine
from jobs.errors import BackupError
from jobs.models import OPEN, LogLine

ROUND_S = 20.0  # other slow steps wait behind this one
TRIED = timedelta(days=7)  # after that whoever deleted the bucket is not asked any more; the job's log names them

logger = logging.getLogger(__name__)


def abort_left_uploads() -> int:
    """The sweeper's slow step; returns of how many restores they are gone. What does not answer is asked again.

    In any order: one target that takes a whole round to not answer holds up no other for ever.
    """
    done, deadline = 0, time.monotonic() + ROUND_S
    left = Restore.objects.exclude(uploads={}).exclude(status__in=OPEN).filter(target__isnull=False)
    for restore in left.filter(finished_at__gt=timezone.now() - TRIED).select_related("target").order_by("?"):
        done += _abort(restore)
        if time.monotonic() > deadline:
            break
    return done


def _abort(restore: Restore) -> int:
    assert restore.target is not None
    try:
        build_engine(database=restore.target).abort_uploads(restore.uploads)
    except (BackupError, OSError) as error:
        logger.warning("unfinished uploads of %s stay for now: %s", restore.pk, error)
        return 0
    Restore.objects.filter(pk=restore.pk).update(uploads={})
    message = f"aborted what was left unfinished: {', '.join(restore.uploads)}"
    LogLine.objects.create(job_kind=Restore.kind, job_id=restore.pk, attempt=restore.attempt, message=message)
    return 1
