"""Request a backup: validate, write the row, ring a worker."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction

from backups.models import Backup
from backups.selectors import only_collection, primary_destination, recipients_of
from databases.engines import registry
from databases.models import Database
from jobs.errors import BackupError
from jobs.models import Status
from jobs.services.ring import ring


def request_backup(
    *,
    database: Database,
    type: str = Backup.Type.FULL,
    trigger: str = Backup.Trigger.MANUAL,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    collection: str = "",
    label: str = "",
    scheduled_at: datetime | None = None,
    user: Any = None,
) -> Backup:
    """Raises BackupError: disabled (wrong state), unsupported (the engine cannot), no_destination, missing_key."""
    if not database.enabled:
        raise BackupError(
            f"Database {database.pk} is disabled.", code="disabled", permanent=True, hint="Enable it to back it up."
        )
    _refuse_unsupported(database, type, include, exclude)
    destination = primary_destination(database)
    recipients_of(database)
    with transaction.atomic():
        backup = Backup.objects.create(
            database=database,
            database_name=database.name,
            engine=database.engine,
            type=type,
            trigger=trigger,
            include=list(include),
            exclude=list(exclude),
            collection=collection or only_collection(database),
            label=label,
            compression=database.compression,
            encryption=database.encryption,
            status=Status.SCHEDULED if scheduled_at else Status.PENDING,
            scheduled_at=scheduled_at,
            requested_by=user,
            max_attempts=settings.BACKUPSITE_MAX_ATTEMPTS,
            queue=database.queue or destination.queue,
        )
        if backup.status == Status.PENDING:
            ring(backup)
    return backup


def _refuse_unsupported(database: Database, type: str, include: Sequence[str], exclude: Sequence[str]) -> None:
    supported = registry.engine_class(database.engine).supports
    if type not in supported:
        raise BackupError(
            f"The {database.engine} engine cannot make {type} backups.",
            code="unsupported",
            permanent=True,
            hint=f"It makes: {', '.join(sorted(supported & set(Backup.Type.values)))}.",
        )
    if type != Backup.Type.SELECTIVE and (include or exclude):
        raise BackupError(
            "Only a selective backup takes 'include' and 'exclude'.",
            code="invalid_selection",
            permanent=True,
            hint="Ask for type 'selective', or narrow every backup by the options of the Database.",
        )
    if type == Backup.Type.SELECTIVE and not (include or exclude):
        raise BackupError("A selective backup needs 'include' or 'exclude'.", code="invalid_selection", permanent=True)
