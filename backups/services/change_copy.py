"""Lock a copy against the retention of its destination, and delete one by hand."""

from django.db import transaction
from django.utils import timezone

from backups.models import Backup, Copy
from backups.selectors import readers_of
from backups.services.hold import until_words
from backups.services.prune import remove_deleting_of
from backups.services.request_copy import wrong_state
from jobs.models import Status


def lock_copy(*, copy: Copy, locked: bool) -> Copy:
    """Raises BackupError(code="wrong_state") while the copy is being deleted."""
    with transaction.atomic():
        # Retention decides under the same lock: what is answered as locked is not taken a moment later.
        Backup.objects.select_for_update().only("pk").get(pk=copy.backup_id)
        changed = Copy.objects.filter(pk=copy.pk).exclude(state=Copy.State.DELETING).update(locked=locked)
    if not changed:
        raise wrong_state(f"The copy of {copy.backup_id} at {copy.destination_id} is being deleted.")
    copy.refresh_from_db()
    return copy


def delete_copy(*, copy: Copy) -> bool:
    """Deletes its objects, then its row. True when all is gone, False while the destination does not answer.

    Raises BackupError(code="wrong_state") for a copy that has to stay: see `copy_fault`.
    """
    with transaction.atomic():
        backup = Backup.objects.select_for_update().defer("manifest").get(pk=copy.backup_id)
        row = Copy.objects.filter(pk=copy.pk).first()
        if row is None:
            return True
        if row.state != Copy.State.DELETING:
            if fault := copy_fault(row, backup):
                raise wrong_state(f"The copy of {backup.pk} at {row.destination_id} {fault}.")
            Copy.objects.filter(pk=row.pk).update(state=Copy.State.DELETING)
    remove_deleting_of(backup)
    return not Copy.objects.filter(pk=copy.pk).exists()


def copy_fault(copy: Copy, backup: Backup) -> str:
    """Why this copy cannot be deleted now, as the end of a sentence; empty when it can. Asked under a lock."""
    if backup.status != Status.COMPLETED:
        return f"belongs to a backup that is {backup.status}"
    if copy.state == Copy.State.WRITING:
        return "is being written: cancel its job"
    if copy.locked:
        return "is locked"
    if backup.locked:
        return "belongs to a locked backup"
    if copy.retain_until and copy.retain_until > timezone.now():
        return f"cannot be deleted: {until_words(copy.retain_until)}"  # marked already, it would be read no more
    others = backup.copies.filter(state=Copy.State.STORED).exclude(pk=copy.pk)
    if not others.exists():
        return "is the last good one: delete the backup instead"
    if not others.filter(destination__fault="").exists():
        return "is the last good one within reach: the destinations of the others cannot be used now"
    if readers := readers_of(backup):
        return f"may be read by {', '.join(readers)}"
    return ""
