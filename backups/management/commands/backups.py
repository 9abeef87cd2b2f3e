"""`manage.py backups`: the newest backups."""

import io
from typing import Any

from django.core.management.base import CommandParser
from rich.console import Console
from rich.table import Table

from backups.management.present import backup_document, find_database
from backups.models import Backup
from backups.selectors import backups_with_copies
from jobs.management.command import DONE, OperatorCommand, figure
from jobs.models import Status


class Command(OperatorCommand):
    help = "List backups, the newest first."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("database", nargs="?", metavar="DATABASE", help="Only of this one: its id or name.")
        parser.add_argument("--status", choices=Status.values)
        parser.add_argument("--limit", type=int, default=20)

    def run(self, *, database: str | None, status: str | None, limit: int, json: bool, **options: Any) -> int:
        found = backups_with_copies()
        if database:
            # A Database that was deleted still has its backups under its id.
            gone = Backup.objects.filter(database=database).exists()
            found = found.filter(database=database if gone else find_database(database).pk)
        if status:
            found = found.filter(status=status)
        backups = list(found[: max(0, limit)])
        if json:
            self.document([backup_document(backup) for backup in backups])
        else:
            self._table(backups)
        return DONE

    def _table(self, backups: list[Backup]) -> None:
        if not backups:
            self.stdout.write("No backups.")
            return
        table = Table(box=None, pad_edge=False)
        for name in ("id", "database", "type", "status", "created (UTC)", "seconds", "stored", "original"):
            table.add_column(name, no_wrap=name == "id", justify="right" if name in _RIGHT else "left")
        for backup in backups:
            seconds = "-" if backup.duration_s is None else f"{backup.duration_s:.1f}"
            table.add_row(
                *(backup.pk, backup.database_name, backup.type, backup.get_status_display()),
                *(f"{backup.created_at:%Y-%m-%d %H:%M:%S}", seconds),
                *(figure(backup.size), figure(backup.original_size)),
            )
        text = io.StringIO()
        Console(file=text, width=None if self.stdout.isatty() else 160).print(table)
        self.stdout.write(text.getvalue(), ending="")


_RIGHT = ("seconds", "stored", "original")
