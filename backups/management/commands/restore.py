"""`manage.py restore BACKUP TARGET`: put a backup back."""

import sys
from typing import Any

from django.core.management.base import CommandParser

from backups.management.identity import add_identity_argument, read_identity
from backups.management.job_command import JobCommand
from backups.management.present import document, find_backup, find_database, find_destination
from backups.models import Backup
from backups.services.restore import request_restore
from databases.models import Database
from databases.selectors import address_of
from databases.services.consent import HOST
from jobs.management.command import CANCELLED, USAGE


class Command(JobCommand):
    help = "Restore a backup into a target Database. Exit code as of `backup`."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("backup", metavar="BACKUP", help="Its id, or a Database for its newest completed one.")
        parser.add_argument("target", metavar="TARGET", help="The Database to write into: id or name.")
        parser.add_argument("--drop-existing", action="store_true", help="Empty the target first.")
        parser.add_argument(
            "--delete-extra", action="store_true", help="Also delete what the backup does not hold (buckets)."
        )
        parser.add_argument("--include", action="append", default=[], metavar="NAME", help="Only this; repeatable.")
        parser.add_argument("--yes", action="store_true", help="Do not ask; for scripts.")
        parser.add_argument("--destination", metavar="ID", help="Read the copy there; else the nearest good one.")
        add_identity_argument(parser)

    def run(
        self,
        *,
        backup: str,
        target: str,
        drop_existing: bool,
        delete_extra: bool,
        include: list[str],
        destination: str | None,
        yes: bool,
        identity_file: str | None,
        here: bool,
        no_wait: bool,
        json: bool,
        **options: Any,
    ) -> int:
        found, into = find_backup(backup), find_database(target)
        identity = read_identity(identity_file)
        if not yes:
            if not sys.stdin.isatty():
                self.fault("A restore writes into its target.", "Without a terminal, confirm it with --yes.")
                return USAGE
            if not self._confirmed(found, into, drop_existing, delete_extra):
                self.say("Nothing was done.")
                return CANCELLED
        restore = request_restore(
            backup=found,
            target=into,
            confirm=into.pk,
            drop_existing=drop_existing,
            delete_extra=delete_extra,
            include=include,
            identity=identity,
            destination=find_destination(destination) if destination else None,
            consent=HOST,
        )
        status = self.see_through(restore, here=here, no_wait=no_wait)
        body = document(restore, backup_id=found.pk, target_database_id=into.pk, report=restore.report)
        self.show(restore, body, json=json)
        return status

    def _confirmed(self, backup: Backup, target: Database, drop_existing: bool, delete_extra: bool) -> bool:
        self.say(f"{backup.pk} of {backup.database_name}, made {backup.created_at:%Y-%m-%d %H:%M} UTC,")
        self.say(f"will be restored into {target.name} ({address_of(target)}).")
        if drop_existing:
            self.say("What the target holds is replaced.")
        if delete_extra:
            self.say("What the target holds and the backup does not is deleted.")
        self.stderr.write(f"Type the target's id ({target.pk}) to go on: ", ending="")
        self.stderr.flush()
        return sys.stdin.readline().strip() == target.pk
