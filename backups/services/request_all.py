"""Back up many Databases at once, and wait for the end of their runs."""

import time
from collections.abc import Collection, Sequence
from threading import BoundedSemaphore
from typing import Any

from django.db import transaction

from backups.models import Backup
from backups.services.request import request_backup
from databases.models import Database
from jobs.errors import BackupError
from jobs.models import OPEN

POLL_S = 0.25
AT_ONCE = 4  # requests that may wait in a process: each holds a thread that others need for their pages
_seats = BoundedSemaphore(AT_ONCE)


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
    """The rows as they are when all have ended, or when the time is over; at once where too many wait already."""
    rows = Backup.objects.filter(pk__in=[backup.pk for backup in backups])
    if seconds and _seats.acquire(blocking=False):
        try:
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline and rows.filter(status__in=OPEN).exists():
                time.sleep(min(POLL_S, max(0.0, deadline - time.monotonic())))
        finally:
            _seats.release()
    return list(rows)
