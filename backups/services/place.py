"""Name the destinations of a Database, in order; the first is primary."""

from collections.abc import Sequence

from django.core.exceptions import ValidationError
from django.db import transaction

from backups.models import DatabaseDestination, Destination
from databases.models import Database


def place_database(*, database: Database, destination_ids: Sequence[str]) -> None:
    """Replaces the list. Raises ValidationError for one that does not exist, or for more than one."""
    known = set(Destination.objects.filter(pk__in=destination_ids).values_list("pk", flat=True))
    unknown = [name for name in destination_ids if name not in known]
    if unknown:
        raise ValidationError({"destinations": [f"No Destination has the id {unknown[0]!r}."]})
    if len(destination_ids) > 1:
        raise ValidationError({"destinations": ["One destination for each Database: copies to more are not made yet."]})
    with transaction.atomic():
        DatabaseDestination.objects.filter(database=database).delete()
        DatabaseDestination.objects.bulk_create(
            DatabaseDestination(database=database, destination_id=name, position=position)
            for position, name in enumerate(destination_ids)
        )
