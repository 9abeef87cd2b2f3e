"""`manage.py packages`: the newest packages."""

import io
from typing import Any

from django.core.management.base import CommandParser
from rich.console import Console
from rich.table import Table

from jobs.management.command import DONE, OperatorCommand, figure
from jobs.models import Status
from packages.management.present import package_document
from packages.models import Package
from packages.selectors import packages_with_copies

RIGHT = ("artefacts", "missing", "stored")


class Command(OperatorCommand):
    help = "List packages, the newest first."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--status", choices=Status.values)
        parser.add_argument("--limit", type=int, default=20)

    def run(self, *, status: str | None, limit: int, json: bool, **options: Any) -> int:
        found = packages_with_copies().prefetch_related("members")
        packages = list((found.filter(status=status) if status else found)[: max(0, limit)])
        if json:
            self.document([package_document(package) for package in packages])
        else:
            self._table(packages)
        return DONE

    def _table(self, packages: list[Package]) -> None:
        if not packages:
            self.stdout.write("No packages.")
            return
        table = Table(box=None, pad_edge=False)
        for name in ("id", "status", "created (UTC)", "format", *RIGHT):
            table.add_column(name, no_wrap=name == "id", justify="right" if name in RIGHT else "left")
        for package in packages:
            rows = list(package.members.all())
            missing = sum(bool(row.missing) for row in rows)
            table.add_row(
                *(package.pk, package.get_status_display(), f"{package.created_at:%Y-%m-%d %H:%M:%S}"),
                *(package.compression, str(len(rows) - missing), str(missing), figure(package.size)),
            )
        text = io.StringIO()
        Console(file=text, width=None if self.stdout.isatty() else 160).print(table)
        self.stdout.write(text.getvalue(), ending="")
