"""Check that a Database can be reached and backed up, and list what a backup would hold."""

from databases.engines.base import CheckReport, Inventory
from databases.models import Database
from databases.services.build_engine import build_engine
from jobs.errors import BackupError


def check_database(*, database: Database) -> CheckReport:
    """A fault of the connection or the configuration is a report with `ok=False`."""
    try:
        return build_engine(database=database).check()
    except BackupError as error:
        return CheckReport(ok=False, error=error.message, code=error.code, hint=error.hint)


def read_inventory(*, database: Database) -> Inventory:
    """Raises BackupError when the server does not answer."""
    return build_engine(database=database).inventory()
