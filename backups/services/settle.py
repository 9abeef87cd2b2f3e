"""Settle how a lost attempt ended: an object with a sidecar is whole, whatever became of the worker or of our rows.

A worker may die between the sidecar and its last write. And a manager whose rows were restored from its own backup
finds the runs of that moment in progress, that very backup among them, although they ended long ago. A copy that was
being made then may be the only one that is left.
"""

import logging
import time
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from backups.artefact import sidecar_key
from backups.destinations import open_storage
from backups.models import Backup, Copy, CopyJob
from backups.services.read_sidecar import Found, parse_sidecar
from backups.services.request_copy import cancel_waiting
from backups.services.run import ended
from jobs.errors import BackupError
from jobs.models import LogLine, Status

ROUND_S = 20.0
UNDECIDED = (Status.SCHEDULED, Status.PENDING, Status.FAILED)  # not while another attempt runs
OF_THE_RUN = (
    *("type", "size", "original_size", "md5", "sha256", "original_blake3", "compression", "encryption"),
    *("manifest", "file_count", "server_version", "tool_version"),
)

logger = logging.getLogger(__name__)


def settle_lost() -> int:
    """The sweeper's slow step; returns how many were decided. What does not answer is asked again in the next round."""
    settled, silent = 0, set()
    deadline = time.monotonic() + ROUND_S
    copied = Q(backup__status=Status.COMPLETED) & ~Exists(_running(OuterRef("backup"), OuterRef("destination")))
    lost = Copy.objects.filter(Q(backup__status__in=UNDECIDED) | copied, state=Copy.State.WRITING)
    for copy in lost.select_related("destination").order_by("pk"):
        if time.monotonic() > deadline:
            break
        if copy.destination_id in silent:
            continue
        try:
            found = _whole(copy)
        except (BackupError, OSError) as error:
            silent.add(copy.destination_id)
            logger.warning("%s cannot be looked at yet: %s", copy.key, error)
            continue
        settled += _decide_copy(copy, found) or _decide(copy, found)
    return settled


def _whole(copy: Copy) -> Found | None:
    """What the sidecar says; None where there is none that fits the object beside it."""
    storage = open_storage(copy.destination)
    try:
        found = parse_sidecar(key=copy.key, text=storage.read_text(sidecar_key(copy.key)))
    except UnicodeDecodeError:
        return None
    except BackupError as error:
        if error.code not in ("sidecar", "object_missing"):
            raise
        return None
    stored = storage.stat(copy.key)
    return found if stored is not None and stored.size == found.size else None


def _running(backup: Any, destination: Any) -> QuerySet[CopyJob]:
    return CopyJob.objects.filter(backup=backup, destination=destination, status=Status.IN_PROGRESS)


def _decide_copy(copy: Copy, found: Found | None) -> int:
    """Of a backup that is completed: to `stored`, or to be removed. 0 for others, and while a job makes it."""
    with transaction.atomic():
        backup = Backup.objects.select_for_update().filter(pk=copy.backup_id, status=Status.COMPLETED).first()
        if backup is None or _running(copy.backup_id, copy.destination_id).exists():
            return 0
        own = Copy.objects.filter(pk=copy.pk, state=Copy.State.WRITING)
        if found is None or (found.parts.run, found.fields["sha256"]) != (backup.pk, backup.sha256):
            own.update(state=Copy.State.DELETING)
        elif own.update(state=Copy.State.STORED, upload_id=""):
            cancel_waiting(CopyJob.objects.filter(backup=backup, destination=copy.destination_id))
    return 1


def _decide(copy: Copy, found: Found | None) -> int:
    """To `completed`, or to be removed. 0 when another attempt has begun meanwhile."""
    with transaction.atomic():
        backup = Backup.objects.select_for_update().filter(pk=copy.backup_id, status__in=UNDECIDED).first()
        if backup is None:
            return 0
        if found is None or not _fits(backup, found):
            Copy.objects.filter(pk=copy.pk, state=Copy.State.WRITING).update(state=Copy.State.DELETING)
            return 1
        values = {name: found.fields[name] for name in OF_THE_RUN}
        Backup.objects.filter(pk=backup.pk).update(
            status=Status.COMPLETED,
            attempt=copy.attempt,
            parent=found.parent or None,
            finished_at=Now(),
            scheduled_at=None,
            phase="",
            error_code="",
            error_message="",
            error_hint="",
            bytes_done=found.fields["original_size"],
            **values,
        )
        message = "it had completed: its artefact and its sidecar are whole, only this row had not been told"
        LogLine.objects.create(job_kind=Backup.kind, job_id=backup.pk, attempt=copy.attempt, message=message)
        backup.refresh_from_db()
        ended(backup)
    return 1


def _fits(backup: Backup, found: Found) -> bool:
    if (found.parts.run, found.parts.folder) != (backup.pk, backup.database_id):
        return False
    return not found.parent or Backup.objects.filter(pk=found.parent, status=Status.COMPLETED).exists()
