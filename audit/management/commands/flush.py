"""`manage.py flush`: Django's own would stop at the guard of the audit, though it is asked to empty everything."""

from typing import Any

from django.core.management.commands import flush
from django.db import connections

from audit.models import Entry
from audit.triggers import lifted


class Command(flush.Command):
    def handle(self, **options: Any) -> None:
        connection = connections[options["database"]]
        if connection.vendor != "sqlite" or not Entry.objects.using(options["database"]).exists():
            super().handle(**options)  # PostgreSQL truncates, which no row's trigger sees
            return
        with lifted(connection):
            super().handle(**options)
