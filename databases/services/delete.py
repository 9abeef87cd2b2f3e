"""Delete a Database; its backups stay listed and restorable."""

from django.db import transaction

from databases.models import Database


def delete_database(*, database: Database) -> None:
    with transaction.atomic():
        database.delete()
