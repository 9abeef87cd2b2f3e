"""`manage.py copy BACKUP --to DESTINATION`: copy a backup to one more destination."""

from typing import Any

from django.core.management.base import CommandParser

from backups.management.job_command import JobCommand
from backups.management.present import document, find_backup, find_destination
from backups.services.request_copy import request_copy


class Command(JobCommand):
    help = "Copy a backup to one more destination. Exit code as of `backup`."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("backup", metavar="BACKUP", help="Its id, or a Database for its newest completed one.")
        parser.add_argument("--to", required=True, metavar="DESTINATION", help="Where the copy is made.")
        parser.add_argument("--from", dest="source", metavar="DESTINATION", help="Where it is read; else the nearest.")

    def run(
        self, *, backup: str, to: str, source: str | None, here: bool, no_wait: bool, json: bool, **options: Any
    ) -> int:
        job = request_copy(
            backup=find_backup(backup),
            destination=find_destination(to),
            source=find_destination(source) if source else None,
        )
        status = self.see_through(job, here=here, no_wait=no_wait)
        self.show(job, document(job, backup_id=job.backup_label, destination=job.destination_label), json=json)
        return status
