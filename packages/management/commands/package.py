"""`manage.py package`: bundle the newest completed backups of several Databases."""

from typing import Any

from django.core.management.base import CommandParser

from backups.management.job_command import JobCommand
from packages.management.present import package_document
from packages.models import Compression, OnMissing
from packages.services.request import request_package


class Command(JobCommand):
    help = "Make a package and wait for the end. Exit code: 0 completed, 1 failed, 2 usage, 3 cancelled."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--databases", nargs="+", default=[], metavar="ID", help="Default: every Database with `package` on."
        )
        parser.add_argument("--compression", choices=Compression.values, default="", help="Default: the policy's.")
        parser.add_argument(
            "--on-missing",
            choices=OnMissing.values,
            default="",
            help="Where a backup is missing. Default: the policy's.",
        )

    def run(
        self,
        *,
        databases: list[str],
        compression: str,
        on_missing: str,
        here: bool,
        no_wait: bool,
        json: bool,
        **options: Any,
    ) -> int:
        package = request_package(databases=databases, compression=compression, on_missing=on_missing)
        status = self.see_through(package, here=here, no_wait=no_wait)
        for row in package.members.exclude(missing=""):
            self.say(f"missing: {row.database_name}: {row.missing}")
        self.show(package, package_document(package), json=json)
        return status
