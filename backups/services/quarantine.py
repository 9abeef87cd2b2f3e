"""Put a damaged copy aside: it is read no more, deleted by nobody but an operator, and told."""

from django.db import transaction

from backups.models import Backup, Copy, DatabaseDestination
from jobs.errors import BackupError
from notifications.models import Severity
from notifications.services.record import record_event

# An unreachable destination or a wrong key says nothing about the copy.
DAMAGED = frozenset({"artefact_truncated", "artefact_corrupt", "structure", "object_missing"})


def quarantine(*, copy: Copy, backup: Backup, error: BackupError) -> bool:
    """Whether the error means that the copy is damaged; a replacement is then looked for in the next round."""
    if error.code not in DAMAGED:
        return False
    with transaction.atomic():
        rows = Copy.objects.filter(pk=copy.pk, state__in=[Copy.State.STORED, Copy.State.QUARANTINED])
        rows.update(state=Copy.State.QUARANTINED, error=error.message)
        DatabaseDestination.objects.filter(database=backup.database_id).update(looked_at=None)
        good = backup.copies.filter(state=Copy.State.STORED).exclude(pk=copy.pk).count()
        left = f"Good copies elsewhere: {good}." if good else "There is no other good copy of it."
        record_event(
            kind="verify.failed",
            severity=Severity.ERROR,
            subject_id=backup.pk,
            database_id=backup.database_id or "",
            message=f"The copy of {backup.pk} at {copy.destination_id} is damaged: {error.message} {left}",
            hint=error.hint,
        )
    return True
