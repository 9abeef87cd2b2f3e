"""Remove what is to go: objects first, the row last, and again until it is really gone."""

import logging
import time

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from backups.artefact import index_keys, sidecar_key
from backups.destinations import open_storage
from backups.models import Backup, Copy
from backups.selectors import readers_of
from backups.services.request_copy import cancel_waiting
from databases.engines import registry
from jobs.errors import BackupError
from jobs.models import OPEN, LogLine, Status

AT_ONCE = 500

ROUND_S = 20.0  # other slow steps wait behind this one

logger = logging.getLogger(__name__)


def remove_copy(copy: Copy) -> None:
    """Deletes the objects of a copy, unfinished uploads included, then its row. Raises BackupError or OSError."""
    storage = open_storage(copy.destination)
    storage.abort_uploads(copy.key, upload_id=copy.upload_id or None)
    storage.delete(copy.key)
    if "incremental" in registry.engine_class(copy.backup.engine).supports:
        for key in index_keys(copy.key):
            storage.abort_uploads(key)
            storage.delete(key)
    storage.delete(sidecar_key(copy.key))
    copy.delete()


def remove_deleting() -> int:
    """The sweeper's step: removes copies that are to go, then backups that have none left. Returns the removals.

    A destination that does not answer is asked once a round: each question takes its timeouts. What is not done within
    a round is done in the next.
    """
    removed = 0
    silent: set[str] = set()
    deadline = time.monotonic() + ROUND_S
    for copy in _to_go(Copy.objects.all()).order_by("pk").iterator():
        if time.monotonic() > deadline:
            break
        if copy.destination_id in silent:
            continue
        try:
            remove_copy(copy)
            removed += 1
        except (BackupError, OSError) as error:
            if not (isinstance(error, BackupError) and error.permanent):
                silent.add(copy.destination_id)
            logger.warning("%s stays until its destination answers: %s", copy.key, error)
            Copy.objects.filter(pk=copy.pk).update(error=str(error)[:2000])
    _end_deletion(Backup.objects.all())
    return removed


def delete_backup(*, backup: Backup) -> bool:
    """Deletes objects, then the row. True when all is gone, False while the destination does not answer.

    Raises BackupError(code="wrong_state") while the backup is locked, being read, built on, or still to run.
    """
    with transaction.atomic():
        row = Backup.objects.select_for_update().get(pk=backup.pk)
        if row.status != Status.DELETING:
            if fault := deletion_fault(row):
                raise BackupError(f"{row.pk} {fault}.", code="wrong_state", permanent=True)
            row.copies.update(state=Copy.State.DELETING)
            cancel_waiting(row.copy_jobs.all())
        Backup.objects.filter(pk=row.pk).update(status=Status.DELETING, expiring=False)
    remove_deleting_of(backup)
    return not Backup.objects.filter(pk=backup.pk).exists()


def remove_deleting_of(backup: Backup) -> None:
    for copy in _to_go(backup.copies.all()):
        try:
            remove_copy(copy)
        except (BackupError, OSError) as error:
            logger.warning("%s stays until its destination answers: %s", copy.key, error)
    _end_deletion(Backup.objects.filter(pk=backup.pk))


def deletion_fault(backup: Backup) -> str:
    """Why this backup cannot be deleted now, as the end of a sentence; empty when it can. Asked under its lock."""
    if backup.status in OPEN:
        return f"is {backup.status}; cancel it first"
    if backup.locked:
        return "is locked"
    if child := backup.children.filter(status__in=[*OPEN, Status.COMPLETED]).values_list("pk", flat=True).first():
        return f"is what {child} builds on; delete that first"
    if readers := readers_of(backup):
        return f"is being read by {', '.join(readers)}"
    return ""


def forget(backups: QuerySet[Backup]) -> int:
    """Deletes rows that have no copy left, with their logs; returns how many."""
    ids = list(backups.filter(copies__isnull=True).values_list("pk", flat=True))
    for start in range(0, len(ids), AT_ONCE):
        some = ids[start : start + AT_ONCE]
        with transaction.atomic():
            LogLine.objects.filter(job_kind=Backup.kind, job_id__in=some).delete()
            Backup.objects.filter(pk__in=some).only("pk").delete()
    return len(ids)


def _to_go(copies: QuerySet[Copy]) -> QuerySet[Copy]:
    to_go = copies.filter(state=Copy.State.DELETING).select_related("destination", "backup")
    return to_go.defer("backup__manifest")


def _end_deletion(backups: QuerySet[Backup]) -> None:
    """Of what has no object left: what retention took stays as history, the rest goes."""
    gone = backups.filter(status=Status.DELETING, copies__isnull=True)
    gone.filter(expiring=True).update(status=Status.EXPIRED, expiring=False, expires_at=Now(), index_identity=None)
    forget(gone.filter(expiring=False))
