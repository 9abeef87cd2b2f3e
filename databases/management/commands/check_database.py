"""`manage.py check_database`: can these Databases be reached and backed up?"""

from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from databases.engines.base import CheckReport
from databases.models import Database
from databases.services.check import check_database
from jobs.errors import BackupError
from jobs.management.command import DONE, FAILED, OperatorCommand


class Command(OperatorCommand):
    help = "Check the connection, rights and tools of Databases. Exit code: 0 when all are well, 1 when one is not."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("databases", nargs="*", default=[], metavar="DATABASE", help="Ids.")
        which.add_argument("--all", action="store_true", help="Every enabled Database.")

    def run(self, *, databases: list[str], all: bool, json: bool, **options: Any) -> int:
        found = list(Database.objects.filter(enabled=True)) if all else [_find(name) for name in databases]
        reports = {}
        for database in found:
            reports[database.pk] = report = check_database(database=database)
            if not json:
                self._show(database, report)
        if json:
            self.document([{"database_id": name, **asdict(report)} for name, report in reports.items()])
        return DONE if _all_ok(reports) else FAILED

    def _show(self, database: Database, report: CheckReport) -> None:
        if report.ok:
            latency = "" if report.latency_ms is None else f" in {report.latency_ms:.0f} ms"
            self.stdout.write(
                f"OK    {database.pk}: server {report.server_version}{latency}, tool {report.tool_version}"
            )
        else:
            self.stdout.write(f"FAIL  {database.pk}: {report.error}")
            if report.hint:
                self.stdout.write(f"      hint: {report.hint}")
        for warning in report.warnings:
            self.stdout.write(f"      warning: {warning}")


def _all_ok(reports: dict[str, CheckReport]) -> bool:
    return all(report.ok for report in reports.values())


def _find(name: str) -> Database:
    database = Database.objects.filter(pk=name).first()
    if database is None:
        raise BackupError(
            f"There is no Database {name!r}.",
            code="unknown_database",
            permanent=True,
            hint=f"Known: {', '.join(Database.objects.values_list('pk', flat=True)[:10]) or 'none yet'}.",
        )
    return database
