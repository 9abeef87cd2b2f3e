"""Delete a Database; its backups stay listed and restorable."""

from django.db import transaction

from databases.models import Database
from databases.services.beat import keep_in_step


def delete_database(*, database: Database) -> None:
    with transaction.atomic():
        pk = database.pk
        database.delete()
        keep_in_step(database_id=pk)
