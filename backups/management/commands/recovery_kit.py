"""`manage.py recovery_kit --output FILE`: every key and the way back, in one file to be kept elsewhere."""

import getpass
import os
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from backups.services.recovery_kit import take_kit
from jobs.management.command import DONE, FAILED, OperatorCommand


class Command(OperatorCommand):
    help = (
        "Write the recovery kit: the site's keys, its destinations with their logins, and the way back. Keep it away "
        "from the site, and secret. Exit code: 0 done, 1 the file is there already or cannot be written."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="A new file; mode 0600.")

    def run(self, *, output: Path, json: bool, **options: Any) -> int:
        try:
            handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            self.fault(f"{output} cannot be written: {error.strerror}.", "Name a file that is not there yet.")
            return FAILED
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(take_kit(by_name=f"{getpass.getuser()} on this host"))
        self.say("Keep it away from this site and its backups, and secret.")
        if json:
            self.document({"output": str(output)})
        else:
            self.stdout.write(str(output))
        return DONE
