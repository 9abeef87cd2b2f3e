"""Request a copy of a backup at one more destination."""

from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from backups.models import Backup, Copy, CopyJob, Destination
from backups.selectors import readable_copies
from jobs.errors import BackupError
from jobs.models import OPEN, Status
from jobs.services.ring import ring

UNTIL_DONE = 30_000  # attempts: a destination may be down for days, and the copy is made when it is back


def request_copy(
    *,
    backup: Backup,
    destination: Destination,
    source: Destination | None = None,
    trigger: str = CopyJob.Trigger.MANUAL,
    user: Any = None,
) -> CopyJob:
    """`source` is where to read, None for the nearest good copy. One that was asked for by hand is tried as often as
    other jobs; the others until they are made.

    Raises BackupError: wrong_state (not completed, or a copy is there or on its way), vanished, no_common_host.
    """
    with transaction.atomic():
        row = Backup.objects.select_for_update().defer("manifest").get(pk=backup.pk)
        _refuse_unfit(row, destination)
        by_hand = trigger == CopyJob.Trigger.MANUAL
        job = CopyJob.objects.create(
            backup=row,
            backup_label=row.pk,
            destination=destination,
            destination_label=destination.pk,
            source=source,
            trigger=trigger,
            requested_by=user,
            max_attempts=settings.BACKUPSITE_MAX_ATTEMPTS if by_hand else UNTIL_DONE,
            queue=_queue(row, destination, source),
        )
        ring(job)
    return job


def cancel_waiting(jobs: QuerySet[CopyJob]) -> None:
    """Ends those that have not begun. One that runs holds its backup."""
    jobs.filter(status__in=[Status.SCHEDULED, Status.PENDING]).update(
        status=Status.CANCELLED,
        finished_at=Now(),
        error_code="cancelled",
        error_message="There is nothing to copy any more.",
    )


def sources_for(backup: Backup, *, destination: Destination, source: Destination | None = None) -> list[Copy]:
    """Copies to read from, the nearest first. Raises BackupError: vanished, no_common_host.

    A folder that one host has is copied by that host: from another host's folder it cannot read.
    """
    copies = readable_copies(backup, queue=destination.queue or None)
    good = [one for one in copies if source is None or one.destination_id == source.pk]
    if not good:
        raise BackupError(
            f"{backup.pk} has no good copy{f' at {source.pk}' if source else ''} to read.",
            code="vanished",
            permanent=True,
            hint="Its artefact was deleted or quarantined.",
        )
    within_reach = [one for one in good if not destination.queue or one.destination.queue in ("", destination.queue)]
    if not within_reach:
        raise BackupError(
            f"No host has both {good[0].destination_id} and {destination.pk}.",
            code="no_common_host",
            permanent=True,
            hint="Each is a folder of another host. Copy over an S3 destination, or over a folder that both have.",
        )
    return within_reach


def _queue(backup: Backup, destination: Destination, source: Destination | None) -> str:
    nearest = sources_for(backup, destination=destination, source=source)[0].destination
    return destination.queue or nearest.queue


def _refuse_unfit(backup: Backup, destination: Destination) -> None:
    if backup.status != Status.COMPLETED:
        raise wrong_state(f"{backup.pk} is {backup.status}: only a completed backup can be copied.")
    if backup.copies.filter(destination=destination, state=Copy.State.STORED).exists():
        raise wrong_state(f"{backup.pk} has a copy at {destination.pk}.")
    running = CopyJob.objects.filter(backup=backup, destination=destination, status__in=OPEN)
    if pk := running.values_list("pk", flat=True).first():
        raise wrong_state(f"{pk} is to copy {backup.pk} to {destination.pk}.")


def wrong_state(message: str) -> BackupError:
    return BackupError(message, code="wrong_state", permanent=True)
