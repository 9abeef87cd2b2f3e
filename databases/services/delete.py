"""Delete a Database; its backups stay listed and restorable."""

from django.db import transaction

from databases.models import Database
from databases.services.beat import keep_in_step
from databases.services.consent import require_consent
from notifications.models import Ping


def delete_database(*, database: Database, consent: str = "") -> None:
    """Raises BackupError(code="needs_approval") where a second person has to agree; see `require_consent`."""
    with transaction.atomic():
        pk = database.pk
        what = f"Deleting the Database {database.name} ({pk})"
        require_consent(consent=consent, what=what, subject_id=pk, database_id=pk)
        database.delete()
        Ping.objects.filter(database_id=pk).delete()
        keep_in_step(database_id=pk)
