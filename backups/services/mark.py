"""Label a backup, and lock it against deletion."""

from typing import Any

from django.db import transaction

from backups.models import Backup
from jobs.errors import BackupError
from jobs.models import Status


def mark_backup(*, backup: Backup, label: str | None = None, locked: bool | None = None) -> Backup:
    """None leaves as it is. A locked backup is deleted by nobody.

    Raises BackupError(code="wrong_state") while the backup is being deleted.
    """
    values: dict[str, Any] = {
        name: value for name, value in {"label": label, "locked": locked}.items() if value is not None
    }
    with transaction.atomic():
        row = Backup.objects.select_for_update().get(pk=backup.pk)
        if row.status == Status.DELETING:
            raise BackupError(f"{row.pk} is being deleted.", code="wrong_state", permanent=True)
        if locked:
            values["expires_at"] = None  # nobody knows any more
        if values:
            Backup.objects.filter(pk=row.pk).update(**values)
    backup.refresh_from_db()
    return backup
