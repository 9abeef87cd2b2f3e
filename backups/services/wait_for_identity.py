"""Drills that wait for the age secret key: their schedule came where nothing opens the backup."""

from typing import Any

from django.db import transaction

from backups.models import Backup, Drill
from backups.services.request_drill import create_drill, picked, plan_of, queue_of, require_readable
from databases.models import Database
from jobs.errors import BackupError
from jobs.models import Status
from jobs.services.ring import ring
from notifications.models import Severity
from notifications.services.record import record_event


def wait_for_identity(*, database: Database, trigger: str) -> Drill:
    """A drill that begins with `give_identity`. It holds no backup meanwhile. Raises BackupError(code="no_backup")."""
    plan = plan_of(database.pk)
    backup = picked(database.pk, plan.pick, plan.destination)
    with transaction.atomic():
        drill = create_drill(
            backup=backup,
            destination=plan.destination,
            server=plan.server,
            assertions=plan.assertions,
            trigger=trigger,
            status=Status.SCHEDULED,
        )
        record_event(
            kind="drill.waiting",
            severity=Severity.WARNING,
            subject_id=drill.pk,
            database_id=database.pk,
            message=f"The drill of {database.name} waits for a key: nothing on this site opens its backups.",
            hint="Give the age secret key on the drill's page, or configure one (BACKUPSITE_DRILL_IDENTITY).",
        )
    return drill


def give_identity(*, drill: Drill, identity: str = "", user: Any = None) -> Drill:
    """Starts it, with the backup that its plan picks now. Without `identity` the site must have a key by now.

    Raises BackupError: wrong_state, no_backup, vanished, missing_key.
    """
    with transaction.atomic():
        row = Drill.objects.select_for_update().get(pk=drill.pk)
        if not row.waits_for_identity:
            raise BackupError(
                f"{row.pk} is {row.status} and waits for no key.",
                code="wrong_state",
                permanent=True,
            )
        chosen = picked(row.database_id, plan_of(row.database_id).pick, row.destination)
        chosen = Backup.objects.select_for_update().get(pk=chosen.pk)
        require_readable(chosen, row.destination, identity)
        row.backup, row.backup_label = chosen, chosen.pk
        row.identity = identity or None
        row.requested_by = user
        row.queue = queue_of(chosen, row.destination, row.server)
        row.status = Status.PENDING
        row.save(update_fields=["backup", "backup_label", "identity", "requested_by", "queue", "status"])
        ring(row)
    return row
