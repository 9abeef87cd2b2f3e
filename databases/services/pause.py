"""Pause and resume a Database: whether it is enabled, and nothing else of it."""

from django.db import transaction
from django.utils import timezone

from databases.models import Database
from databases.services.beat import keep_in_step
from jobs.errors import BackupError


def pause_database(*, database: Database, paused: bool) -> None:
    """Raises BackupError(code="wrong_state") where it is so already.

    What is wrong with its settings does not matter here: a Database that can no longer be saved can be paused.
    """
    with transaction.atomic():
        row = Database.objects.select_for_update().get(pk=database.pk)
        if row.enabled is not paused:
            state = "paused" if paused else "enabled"
            raise BackupError(f"Database {row.pk} is {state} already.", code="wrong_state", permanent=True)
        row.enabled, row.scheduled_since = not paused, timezone.now()
        row.save(update_fields=["enabled", "scheduled_since", "updated_at"])
        keep_in_step(database_id=row.pk)
