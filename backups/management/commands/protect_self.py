"""`manage.py protect_self`: make, mend or take away the built-in Database, as `serve` does at each start."""

from typing import Any

from backups.services.protect_self import protect_self
from jobs.management.command import DONE, OperatorCommand


class Command(OperatorCommand):
    help = (
        "Make the built-in Database that backs up the site's own rows, or mend its connection; with "
        "BACKUPSITE_SELF_BACKUP=false take it away (its backups stay). Exit code: 0 done, 1 it cannot be made."
    )

    def run(self, *, json: bool, **options: Any) -> int:
        database = protect_self()
        if json:
            self.document({"database": database and database.pk, "engine": database and database.engine})
        elif database is None:
            self.stdout.write("BACKUPSITE_SELF_BACKUP is false: the site does not protect itself.")
        else:
            self.stdout.write(f"{database.pk}: {database.engine}, schedule {database.schedule}, {database.encryption}")
        return DONE
