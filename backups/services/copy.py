"""Copy a backup to one more destination: store to store in constant memory, compared on the way and read back."""

import json
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.db import Error as DatabaseFault
from django.db import transaction
from django.db.models import DateTimeField, Exists, ExpressionWrapper, OuterRef
from django.db.models.functions import Now

from backups.artefact import renumbered, sidecar_key
from backups.destinations import open_storage
from backups.models import Backup, Copy, CopyJob, DatabaseDestination, Destination
from backups.services.copy_objects import SourceFault, copy_artefact, copy_index, sidecar_of
from backups.services.hold import noting
from backups.services.prune import remove_copy
from backups.services.quarantine import quarantine
from backups.services.read_back import SAID, read_back
from backups.services.request_copy import sources_for
from backups.services.source import digests_of
from backups.storage.base import PERMISSION
from jobs.errors import BackupError
from jobs.lease import Lease, LeaseLost
from jobs.models import Status
from jobs.selectors import max_parallel_jobs
from jobs.services.tally import add
from notifications.models import Severity
from notifications.services.record import record_event

BACKOFF = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60))  # the last one again and again


def has_room() -> bool:
    """Copies leave half of the site's room to everything else, however many of them wait."""
    running = CopyJob.objects.filter(status=Status.IN_PROGRESS).count()
    return running < max(1, max_parallel_jobs() // 2)


def may_start(job: CopyJob) -> bool:
    """A destination that has a copy running lets those go first that have none: a slow one takes not all the room."""
    running = CopyJob.objects.filter(status=Status.IN_PROGRESS)
    if not running.filter(destination=job.destination_id).exists():
        return True
    waiting = CopyJob.objects.filter(status=Status.PENDING, queue=job.queue).exclude(destination=job.destination_id)
    return not waiting.filter(~Exists(running.filter(destination=OuterRef("destination")))).exists()


def run_copy(job: CopyJob, lease: Lease) -> dict[str, Any]:
    """One attempt. What one source cannot give is asked of the next; a damaged source is quarantined."""
    backup, destination = job.backup, job.destination
    if backup is None or destination is None:
        raise BackupError("The backup or the destination was deleted.", code="wrong_state", permanent=True)
    lease.phase("preflight", moves_bytes=False)
    open_storage(destination)  # what is wrong with it is said before anything is read
    faults: list[BackupError] = []
    for source in sources_for(backup, destination=destination, source=job.source):
        try:
            _copy(job, source, lease)
        except SourceFault as fault:
            lease.log(f"the copy at {source.destination_id} cannot be read: {fault.error}")
            if not quarantine(copy=source, backup=backup, error=fault.error):
                faults.append(fault.error)
        else:
            return {"bytes_done": backup.size, "bytes_total_estimate": backup.size, "source": source.destination}
    raise faults[0] if faults else _no_good_copy(backup)


def ended(job: CopyJob) -> None:
    """The attempt's copy follows its outcome, in the same transaction.

    What a failed attempt could not undo, and what one was writing whose worker died, is looked at: see `settle_lost`.
    """
    own = Copy.objects.filter(backup=job.backup_id, destination=job.destination_id, state=Copy.State.WRITING)
    if job.status == Status.COMPLETED:
        for copy in own.order_by("-attempt")[:1]:
            own.filter(pk=copy.pk).update(state=Copy.State.STORED, verified_at=job.finished_at, upload_id="")
        add("backupsite_copied_bytes", job.bytes_done, destination=job.destination_label)
        own.update(state=Copy.State.DELETING)
    if job.status == Status.SCHEDULED:
        _put_off(job)
        return
    if job.backup is not None:
        DatabaseDestination.objects.filter(database=job.backup.database_id).update(looked_at=None)
    _tell(job)


def _put_off(job: CopyJob) -> None:
    """Minutes at first, then hours: a destination may be down for days, and comes back without being asked for."""
    if job.trigger != CopyJob.Trigger.MANUAL:
        pause = BACKOFF[min(job.attempt, len(BACKOFF)) - 1]
        due = ExpressionWrapper(Now() + pause, output_field=DateTimeField())
        CopyJob.objects.filter(pk=job.pk).update(scheduled_at=due)


def _copy(job: CopyJob, source: Copy, lease: Lease) -> None:
    copy = _begin_free_copy(job, source, lease)
    backup, storage = copy.backup, open_storage(copy.destination)

    def on_upload(upload_id: str) -> None:
        Copy.objects.filter(pk=copy.pk).update(upload_id=upload_id)

    try:
        lease.phase("copy", estimate=backup.size)
        lease.log(f"copying {source.key} from {source.destination_id} to {copy.destination_id}")
        copy_artefact(source=source, copy=copy, storage=storage, on_upload=on_upload, lease=lease)
        how = read_back(
            storage=storage, key=copy.key, digests=digests_of(backup), lease=lease, version_id=copy.version_id
        )
        lease.phase("finish", moves_bytes=False)
        Copy.objects.filter(pk=copy.pk).update(readback=how)
        index = copy_index(source=source, copy=copy, storage=storage, lease=lease)
        body = json.dumps(sidecar_of(copy=copy, index=index), indent=2, sort_keys=True)
        storage.write_text(sidecar_key(copy.key), body, on_stored=noting(copy, artefact=False))
        lease.check()
    except BaseException:
        _undo(copy)
        raise
    lease.log(f"stored {backup.size} bytes as {copy.key} in {copy.destination_id}; {SAID[how]}")


def _begin_free_copy(job: CopyJob, source: Copy, lease: Lease) -> Copy:
    """Passes over keys where something lies that no row knows: a copy that is still to be adopted, often a good one."""
    while True:
        copy = _begin_copy(job, source, lease)
        taken = True
        try:
            taken = _is_taken(copy)
        finally:
            if taken:
                copy.delete()
        if not taken:
            return copy
        lease.log(f"{copy.key} is there already, and is left alone")


def _is_taken(copy: Copy) -> bool:
    try:
        return any(one.key == copy.key for one in open_storage(copy.destination).list(copy.key))
    except BackupError as error:
        if error.code != PERMISSION:  # credentials that only write cannot ask, and remove nothing
            raise
    return False


def _begin_copy(job: CopyJob, source: Copy, lease: Lease) -> Copy:
    """Its number is one that this backup never gave before, so that nobody else ever writes or removes its key."""
    with transaction.atomic():
        if not lease.own_rows.select_for_update().exists():
            raise LeaseLost(f"{job.pk}: another process has taken the job over")
        destination = Destination.objects.select_for_update().get(pk=job.destination_id)
        backup = Backup.objects.select_for_update().get(pk=job.backup_id)
        if backup.status != Status.COMPLETED:
            raise BackupError(f"{backup.pk} is {backup.status}.", code="wrong_state", permanent=True)
        given = [backup.copies_begun, backup.attempt, *backup.copies.values_list("attempt", flat=True)]
        number = max(given) + 1
        Backup.objects.filter(pk=backup.pk).update(copies_begun=number)
        key = renumbered(source.key, number)
        return Copy.objects.create(backup=backup, destination=destination, attempt=number, key=key)


def _undo(copy: Copy) -> None:
    """At once where possible; what cannot be removed now stays recorded, and the sweeper removes it.

    What is not being written any more was found to be whole meanwhile, by somebody who saw this lease run out.
    """
    with suppress(DatabaseFault, BackupError, OSError):
        if Copy.objects.filter(pk=copy.pk, state=Copy.State.WRITING).update(state=Copy.State.DELETING):
            remove_copy(copy)


def _no_good_copy(backup: Backup) -> BackupError:
    return BackupError(
        f"Every copy of {backup.pk} that can be read is damaged.",
        code="vanished",
        permanent=True,
        hint="Make a new backup. The damaged copies are kept in quarantine.",
    )


def _tell(job: CopyJob) -> None:
    backup, place = job.backup, job.destination_label
    database = backup.database_id if backup else ""
    if job.status == Status.FAILED:
        record_event(
            kind="copy.failed",
            severity=Severity.ERROR,
            subject_id=job.pk,
            database_id=database or "",
            message=f"{job.backup_label} could not be copied to {place}: {job.error_message}",
            hint=job.error_hint,
        )
    elif job.status == Status.COMPLETED and job.trigger == CopyJob.Trigger.REPLACEMENT:
        record_event(
            kind="copy.replaced",
            severity=Severity.INFO,
            subject_id=job.pk,
            database_id=database or "",
            message=f"The damaged copy of {job.backup_label} at {place} has a good one beside it again.",
            hint="The damaged one is kept in quarantine until somebody deletes it.",
        )
