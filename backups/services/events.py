"""Events of backups, written into the outbox in the transaction of the outcome."""

from backups.models import Backup
from jobs.models import Status
from notifications.models import Severity
from notifications.services.record import record_event


def record_backup_event(backup: Backup) -> None:
    """Says nothing of an attempt that will be tried again."""
    if backup.status == Status.COMPLETED:
        message, severity = f"{backup.database_name} was backed up: {backup.size} bytes stored.", Severity.INFO
    elif backup.status == Status.FAILED:
        message, severity = f"The backup of {backup.database_name} failed: {backup.error_message}", Severity.ERROR
    elif backup.status == Status.CANCELLED:
        message, severity = f"The backup of {backup.database_name} was cancelled.", Severity.WARNING
    else:
        return
    record_event(
        kind=f"backup.{backup.status}",
        severity=severity,
        subject_id=backup.pk,
        database_id=backup.database_id or "",
        message=message,
        hint=backup.error_hint,
    )
