"""Back up many Databases at once, and wait for the end of their runs."""

import time
from collections.abc import Collection, Sequence
from typing import Any

from django.db import transaction

from backups.models import Backup
from backups.services.request import request_backup
from databases.models import Database
from jobs.errors import BackupError
from jobs.models import OPEN

POLL_S = 0.25


def request_backups(*, engines: Collection[str], user: Any = None) -> list[Backup]:
    """One backup of every enabled Database of these engines, all or none of them.

    Raises BackupError: nothing_to_back_up, and what `request_backup` raises.
    """
    with transaction.atomic():
        databases = Database.objects.filter(enabled=True, engine__in=engines).order_by("pk")
        requested = [request_backup(database=database, trigger=Backup.Trigger.API, user=user) for database in databases]
    if not requested:
        raise BackupError(
            f"No enabled Database is of {' or '.join(sorted(engines))}.",
            code="nothing_to_back_up",
            permanent=True,
            hint="Add one, or enable it.",
        )
    return requested


def wait_for_end(backups: Sequence[Backup], *, seconds: float) -> list[Backup]:
    """The rows as they are when all have ended, or when the time is over."""
    deadline = time.monotonic() + seconds
    rows = Backup.objects.filter(pk__in=[backup.pk for backup in backups])
    while time.monotonic() < deadline and rows.filter(status__in=OPEN).exists():
        time.sleep(min(POLL_S, max(0.0, deadline - time.monotonic())))
    return list(rows)
