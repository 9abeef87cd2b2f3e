"""`manage.py verify_report FILE`: is this report of a drill what the site has signed?"""

import json as json_format
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from backups.services.sign_report import check_signature
from jobs.errors import BackupError
from jobs.management.command import DONE, OperatorCommand


class Command(OperatorCommand):
    help = "Check the signature of a drill's report. Exit code 1 when it does not fit."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("file", metavar="FILE", help="The report as it was downloaded.")
        parser.add_argument("--signature", metavar="FILE", help="The downloaded signature; FILE.sig unless given.")
        parser.add_argument("--key", metavar="FILE", help="Public key in PEM; the site's own unless given.")

    def run(self, *, file: str, signature: str | None, key: str | None, json: bool, **options: Any) -> int:
        report = _read(file)
        public = _read(key).decode("ascii", "replace") if key else ""
        check_signature(report=report, signature=_read(signature or f"{file}.sig"), key=public)
        said = json_format.loads(report)
        facts = {
            "valid": True,
            "drill": said["drill"]["id"],
            "verdict": said["verdict"],
            "signed_by": said["signed_by"],
        }
        if json:
            self.document(facts)
        else:
            self.stdout.write(f"The signature fits: {facts['drill']}, {facts['verdict']}.")
        return DONE


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise BackupError(
            f"Cannot read {path}: {error.strerror}.",
            code="unreadable",
            permanent=True,
            hint="GET /api/drills/{id}/report gives the report, .../signature its signature.",
        ) from error
