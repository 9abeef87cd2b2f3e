"""`manage.py verify BACKUP`: read a backup again to its end and compare."""

from typing import Any

from django.core.management.base import CommandParser

from backups.management.identity import add_identity_argument, read_identity
from backups.management.job_command import JobCommand
from backups.management.present import document, find_backup, find_destination
from backups.services.verify import request_verification


class Command(JobCommand):
    help = "Read every copy of a backup again: sizes, digests, structure. Exit code as of `backup`."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("backup", metavar="BACKUP", help="Its id, or a Database for its newest completed one.")
        parser.add_argument("--destination", metavar="ID", help="Read the copy there only; else every copy.")
        add_identity_argument(parser)

    def run(
        self,
        *,
        backup: str,
        destination: str | None,
        identity_file: str | None,
        here: bool,
        no_wait: bool,
        json: bool,
        **options: Any,
    ) -> int:
        place = find_destination(destination) if destination else None
        verification = request_verification(
            backup=find_backup(backup), destination=place, identity=read_identity(identity_file)
        )
        status = self.see_through(verification, here=here, no_wait=no_wait)
        body = document(verification, backup_id=verification.backup_label, report=verification.report)
        self.show(verification, body, json=json)
        return status
