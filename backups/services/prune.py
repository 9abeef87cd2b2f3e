"""Remove what is to go: objects first, the row last, and again until it is really gone."""

import logging
import time
from datetime import timedelta

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from backups.artefact import index_keys, sidecar_key
from backups.destinations import open_storage
from backups.models import Backup, Copy
from backups.services.deletable import deletion_faults
from backups.services.hold import HELD, explain_refusal, refuse_held
from backups.services.request_copy import cancel_waiting
from backups.storage.base import PERMISSION, ObjectStorage
from databases.engines import registry
from databases.services.consent import require_consent
from jobs.errors import BackupError
from jobs.models import Status
from jobs.services.forget import forget_traces
from notifications.models import Severity
from notifications.services.record import record_event

AT_ONCE = 500

REFUSED = timedelta(hours=1)
ROUND_S = 20.0  # other slow steps wait behind this one

logger = logging.getLogger(__name__)


def remove_copy(copy: Copy) -> None:
    """Deletes the objects of a copy, unfinished uploads included, then its row.

    Raises BackupError or OSError; BackupError(code="held") while the store deletes it for nobody.
    """
    refuse_held(copy)
    storage = open_storage(copy.destination)
    try:
        _remove_objects(copy, storage)
    except BackupError as error:
        if error.code == PERMISSION:
            explain_refusal(copy, storage)
        raise
    copy.delete()


def _remove_objects(copy: Copy, storage: ObjectStorage) -> None:
    version = copy.version_id or None
    storage.abort_uploads(copy.key, upload_id=copy.upload_id or None)
    storage.delete(copy.key, version_id=version)
    beside = "" if version else None  # they have versions too, whose ids nobody wrote down
    if "incremental" in registry.engine_class(copy.backup.engine).supports:
        for key in index_keys(copy.key):
            storage.abort_uploads(key)
            storage.delete(key, version_id=beside)
    storage.delete(sidecar_key(copy.key), version_id=beside)


def remove_deleting() -> int:
    """The sweeper's step: removes copies that are to go, then backups that have none left. Returns the removals.

    A destination that does not answer is asked once a round: each question takes its timeouts. What is not done within
    a round is done in the next. What a store holds is left alone till then, and one that refuses is asked once an hour.
    """
    removed = 0
    silent: set[str] = set()
    deadline = time.monotonic() + ROUND_S
    for copy in _to_go(Copy.objects.all()).filter(_to_be_tried()).order_by("pk").iterator():
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
            _note_refusal(copy, error)
    _end_deletion(Backup.objects.all())
    return removed


def delete_backup(*, backup: Backup, consent: str = "") -> bool:
    """Deletes objects, then the row. True when all is gone, False while the destination does not answer.

    Raises as `begin_deletion` does.
    """
    begin_deletion(backup=backup, consent=consent)
    remove_deleting_of(backup)
    return not Backup.objects.filter(pk=backup.pk).exists()


def begin_deletion(*, backup: Backup, consent: str) -> None:
    """Whatever becomes of this process, the objects go and then the row.

    Raises BackupError: wrong_state while the backup is locked, being read, built on, or still to run; needs_approval
    where a second person has to agree (see `require_consent`).
    """
    with transaction.atomic():
        row = Backup.objects.select_for_update().get(pk=backup.pk)
        if row.status != Status.DELETING:
            require_deletable(row)
            what = f"Deleting {row.pk} of {row.database_name}"
            require_consent(consent=consent, what=what, subject_id=row.pk, database_id=row.database_id or "")
            row.copies.update(state=Copy.State.DELETING)
            cancel_waiting(row.copy_jobs.all())
        Backup.objects.filter(pk=row.pk).update(status=Status.DELETING, expiring=False)


def remove_deleting_of(backup: Backup) -> None:
    for copy in _to_go(backup.copies.all()):
        try:
            remove_copy(copy)
        except (BackupError, OSError) as error:
            _note_refusal(copy, error)
    _end_deletion(Backup.objects.filter(pk=backup.pk))


def _to_be_tried() -> Q:
    """A destination that was changed since it refused is asked at once: its credentials may be others."""
    now = timezone.now()
    refused = Q(tried_at__gt=now - REFUSED, tried_at__lte=now, destination__updated_at__lt=F("tried_at"))
    return (Q(retain_until__isnull=True) | Q(retain_until__lte=now)) & ~refused


def _note_refusal(copy: Copy, error: Exception) -> None:
    """Said once, however often it is tried. One that does not answer is tried in every round."""
    text = str(error)[:2000]
    permanent = isinstance(error, BackupError) and error.permanent and error.code != HELD  # a date of its own tells
    refused = isinstance(error, BackupError) and error.code == PERMISSION
    if text != copy.error:
        logger.warning("%s stays for now: %s", copy.key, error)
    others = Copy.objects.filter(destination=copy.destination_id, state=Copy.State.DELETING, tried_at__isnull=False)
    if refused and not others.exists():
        record_event(
            kind="destination.undeletable",
            severity=Severity.WARNING,
            subject_id=copy.destination_id,
            message=f"The credentials of {copy.destination_id} may not delete: what is to go stays stored there.",
            hint="Allow them to delete for a while, or let a lifecycle rule of the bucket do it: docs/object-lock.md.",
        )
    Copy.objects.filter(pk=copy.pk).update(error=text, tried_at=timezone.now() if permanent else None)


def require_deletable(backup: Backup) -> None:
    """Asked under its lock. Raises BackupError(code="wrong_state")."""
    if fault := deletion_faults([backup]).get(backup.pk):
        raise BackupError(f"{backup.pk} {fault}.", code="wrong_state", permanent=True)


def forget(backups: QuerySet[Backup]) -> int:
    """Deletes rows that have no copy left, with their logs; returns how many."""
    ids = list(backups.filter(copies__isnull=True).values_list("pk", flat=True))
    for start in range(0, len(ids), AT_ONCE):
        some = ids[start : start + AT_ONCE]
        with transaction.atomic():
            forget_traces(kind=Backup.kind, ids=some)
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
