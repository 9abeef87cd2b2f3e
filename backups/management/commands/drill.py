"""`manage.py drill DATABASE|BACKUP`: restore into a scratch target, compare, and report."""

from typing import Any

from django.core.management.base import CommandParser

from backups.management.identity import add_identity_argument, read_identity
from backups.management.job_command import JobCommand
from backups.management.present import document, find_database, find_destination
from backups.models import Backup, Pick
from backups.services.request_drill import request_drill


class Command(JobCommand):
    help = "Restore a backup into a scratch target, compare and report. Exit code as of `backup`; 1 when not proven."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("what", metavar="DATABASE|BACKUP", help="A Database (id or name), or a backup's id.")
        parser.add_argument("--pick", choices=Pick.values, help="Of a Database: which backup, if not as its plan says.")
        parser.add_argument("--destination", metavar="ID", help="Where the copy to read is.")
        parser.add_argument("--server", metavar="DATABASE", help="On whose server to restore.")
        add_identity_argument(parser)

    def run(
        self,
        *,
        what: str,
        pick: str | None,
        destination: str | None,
        server: str | None,
        identity_file: str | None,
        here: bool,
        no_wait: bool,
        json: bool,
        **options: Any,
    ) -> int:
        backup = Backup.objects.filter(pk=what).first()
        drill = request_drill(
            backup=backup,
            database=None if backup else find_database(what),
            pick=pick,
            destination=find_destination(destination) if destination else None,
            server=find_database(server) if server else None,
            identity=read_identity(identity_file),
        )
        status = self.see_through(drill, here=here, no_wait=no_wait)
        self.show(drill, document(drill, backup_id=drill.backup_label, report=drill.report), json=json)
        return status
