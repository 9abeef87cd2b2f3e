"""`manage.py backup DATABASE`: back a Database up now."""

from typing import Any

from django.core.management.base import CommandParser

from backups.management.job_command import JobCommand
from backups.management.present import backup_document, find_database
from backups.models import Backup
from backups.services.request import request_backup


class Command(JobCommand):
    help = "Back a Database up and wait for the end. Exit code: 0 completed, 1 failed, 2 usage, 3 cancelled."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("database", metavar="DATABASE", help="Its id or name.")
        parser.add_argument("--type", choices=Backup.Type.values, help="Default: full, or selective with --include.")
        parser.add_argument("--include", action="append", default=[], metavar="NAME", help="May be repeated.")
        parser.add_argument("--exclude", action="append", default=[], metavar="NAME", help="May be repeated.")
        parser.add_argument("--label", default="")

    def run(
        self,
        *,
        database: str,
        type: str | None,
        include: list[str],
        exclude: list[str],
        label: str,
        here: bool,
        no_wait: bool,
        json: bool,
        **options: Any,
    ) -> int:
        backup = request_backup(
            database=find_database(database),
            type=type or (Backup.Type.SELECTIVE if include or exclude else Backup.Type.FULL),
            include=include,
            exclude=exclude,
            label=label,
        )
        status = self.see_through(backup, here=here, no_wait=no_wait)
        self.show(backup, backup_document(backup), json=json)
        return status
