"""Check that a Database can be reached and backed up, and list what a backup would hold."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError

from databases.engines.base import CheckReport, Inventory
from databases.models import Database
from databases.services.build_engine import build_engine
from databases.services.save import engine_faults, set_values
from jobs.errors import BackupError


def check_database(*, database: Database) -> CheckReport:
    """A fault of the connection or the configuration is a report with `ok=False`."""
    try:
        return build_engine(database=database).check()
    except BackupError as error:
        return CheckReport(ok=False, error=error.message, code=error.code, hint=error.hint)


def check_values(*, database: Database, values: Mapping[str, Any]) -> CheckReport:
    """Of a connection that is not saved yet; `values` as `save_database` takes them. Nothing is written.

    Raises ValidationError by field for what cannot even be tried.
    """
    if faults := set_values(database, values) | engine_faults(database):
        raise ValidationError(faults)
    return check_database(database=database)


def read_inventory(*, database: Database) -> Inventory:
    """Raises BackupError when the server does not answer."""
    return build_engine(database=database).inventory()
