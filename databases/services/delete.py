"""Delete a Database; its backups stay listed and restorable."""

from django.db import transaction

from databases.models import Database
from databases.services.beat import keep_in_step
from notifications.models import Ping


def delete_database(*, database: Database) -> None:
    with transaction.atomic():
        pk = database.pk
        database.delete()
        Ping.objects.filter(database_id=pk).delete()
        keep_in_step(database_id=pk)
