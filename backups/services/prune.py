"""Remove what is to go: objects first, the row last, and again until it is really gone."""

import logging

from django.db import transaction

from backups.artefact import index_keys, sidecar_key
from backups.destinations import open_storage
from backups.models import Backup, Copy
from backups.selectors import readers_of
from databases.engines import registry
from jobs.errors import BackupError
from jobs.models import OPEN, Status

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

    A destination that does not answer is asked once a round: each question takes its timeouts.
    """
    removed = 0
    silent: set[str] = set()
    for copy in Copy.objects.filter(state=Copy.State.DELETING).select_related("destination").order_by("pk"):
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
    Backup.objects.filter(status=Status.DELETING, copies__isnull=True).delete()
    return removed


def delete_backup(*, backup: Backup) -> bool:
    """Deletes objects, then the row. True when all is gone, False while the destination does not answer.

    Raises BackupError(code="wrong_state") while the backup is locked, being read, built on, or still to run.
    """
    with transaction.atomic():
        row = Backup.objects.select_for_update().get(pk=backup.pk)
        if row.status != Status.DELETING:
            _refuse_deletion(row)
            Backup.objects.filter(pk=row.pk).update(status=Status.DELETING)
            row.copies.update(state=Copy.State.DELETING)
    remove_deleting_of(backup)
    return not Backup.objects.filter(pk=backup.pk).exists()


def remove_deleting_of(backup: Backup) -> None:
    for copy in backup.copies.filter(state=Copy.State.DELETING).select_related("destination"):
        try:
            remove_copy(copy)
        except (BackupError, OSError) as error:
            logger.warning("%s stays until its destination answers: %s", copy.key, error)
    Backup.objects.filter(pk=backup.pk, status=Status.DELETING, copies__isnull=True).delete()


def _refuse_deletion(backup: Backup) -> None:
    reason = ""
    if backup.status in OPEN:
        reason = f"is {backup.status}; cancel it first"
    elif backup.locked:
        reason = "is locked"
    elif child := backup.children.filter(status__in=[*OPEN, Status.COMPLETED]).values_list("pk", flat=True).first():
        reason = f"is what {child} builds on; delete that first"
    elif readers := readers_of(backup):
        reason = f"is being read by {', '.join(readers)}"
    if reason:
        raise BackupError(f"{backup.pk} {reason}.", code="wrong_state", permanent=True)
