"""Name the destinations of a Database, in order; the first is primary, the others are filled by copies."""

from collections.abc import Mapping, Sequence

from django.core.exceptions import ValidationError
from django.db import transaction

from backups.models import CopyJob, DatabaseDestination, Destination
from backups.services.request_copy import cancel_waiting
from databases.models import Database

MOST = 20


def place_database(
    *, database: Database, destination_ids: Sequence[str], retention_days: Mapping[str, int | None] | None = None
) -> None:
    """Replaces the list. `retention_days` of copies, by id; without it each place keeps its own.

    Copies that wait for a place which is named no more are cancelled; those that are stored stay. Raises
    ValidationError for one that does not exist or is named twice.
    """
    known = set(Destination.objects.filter(pk__in=destination_ids).values_list("pk", flat=True))
    if unknown := [name for name in destination_ids if name not in known]:
        raise ValidationError({"destinations": [f"No Destination has the id {unknown[0]!r}."]})
    if twice := [name for name in destination_ids if destination_ids.count(name) > 1]:
        raise ValidationError({"destinations": [f"{twice[0]!r} is named twice."]})
    if len(destination_ids) > MOST:
        raise ValidationError({"destinations": [f"At most {MOST} destinations."]})
    with transaction.atomic():
        before = {row.destination_id: row for row in database.placements.select_for_update()}
        database.placements.all().delete()
        DatabaseDestination.objects.bulk_create(
            _placement(database, before.get(name), name, position, retention_days)
            for position, name in enumerate(destination_ids)
        )
        unnamed = CopyJob.objects.filter(backup__database=database.pk).exclude(destination__in=destination_ids)
        cancel_waiting(unnamed.exclude(trigger=CopyJob.Trigger.MANUAL))


def _placement(
    database: Database,
    before: DatabaseDestination | None,
    name: str,
    position: int,
    retention_days: Mapping[str, int | None] | None,
) -> DatabaseDestination:
    """What was known of a place that stays named is kept, and it is looked at anew."""
    row = before or DatabaseDestination(database=database, destination_id=name)
    row.pk, row.position, row.looked_at = None, position, None
    row._state.adding = True
    if retention_days is not None:
        row.retention_days = retention_days.get(name)
    return row
