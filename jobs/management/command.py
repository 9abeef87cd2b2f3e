"""What every command of operators shares: one-line errors with a hint, JSON for scripts, honest exit codes."""

import json
import sys
from abc import abstractmethod
from typing import Any

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, OperationalError, ProgrammingError, connection
from django.db.migrations.recorder import MigrationRecorder

from jobs.errors import BackupError

DONE, FAILED, USAGE, CANCELLED = 0, 1, 2, 3


class OperatorCommand(BaseCommand):
    """`run` returns the exit code: 0 done, 1 failed, 2 usage (argparse's own), 3 cancelled.

    stdout carries the result (with `--json` exactly one JSON document), stderr everything else.
    """

    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="One JSON document on stdout, for scripts.")

    @abstractmethod
    def run(self, *args: Any, **options: Any) -> int: ...

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            status = self.run(**options)
        except BackupError as error:
            status = self._failed(error, options)
        except (OperationalError, ProgrammingError):
            if not _site_is_missing():
                raise
            status = self._failed(_no_site(), options)
        except ValidationError as error:
            self.fault("; ".join(error.messages))
            status = USAGE
        except ObjectDoesNotExist as error:
            self.fault(str(error), "The list shows what there is: manage.py backups.")
            status = USAGE
        if status:
            sys.exit(status)

    def _failed(self, error: BackupError, options: dict[str, Any]) -> int:
        self.fault(error.message, error.hint)
        if options.get("json"):
            self.document({"error": {"code": error.code, "message": error.message, "hint": error.hint}})
        return FAILED

    def fault(self, message: str, hint: str = "") -> None:
        self.stderr.write(f"error: {' '.join(message.split())}")
        if hint:
            self.stderr.write(f"hint: {' '.join(hint.split())}")

    def say(self, text: str) -> None:
        """For eyes: to stderr, so that stdout stays the result's."""
        self.stderr.write(text)

    def document(self, body: Any) -> None:
        self.stdout.write(json.dumps(body, indent=2, default=str))


def _site_is_missing() -> bool:
    """Asks for the table instead of reading the fault's text, which every database words differently."""
    try:
        return not MigrationRecorder(connection).has_table()
    except DatabaseError:
        return False


def _no_site() -> BackupError:
    return BackupError(
        f"There is no site in {settings.DATA_DIR} yet.",
        code="no_site",
        permanent=True,
        hint="Set BACKUPSITE_DATA_DIR (or DATABASE_URL), or start it once with manage.py serve.",
    )


def figure(size: int | None) -> str:
    """A size in bytes for eyes."""
    if size is None:
        return "-"
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
