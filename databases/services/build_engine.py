"""A Database row -> its engine, with its secrets opened."""

from django.conf import settings

from databases.engines import registry
from databases.engines.base import Connection, Engine
from databases.models import Database
from jobs.fields import unseal


def build_engine(*, database: Database) -> Engine:
    """Raises BackupError: missing_key, unknown_engine, invalid_options."""
    secrets = unseal(database.secrets)
    connection = Connection(
        host=database.host,
        port=database.port,
        username=database.username,
        password=secrets.get("password", ""),
        database_name=database.database_name,
    )
    options = {**database.options, **secrets.get("options", {})}
    return registry.build(database.engine, connection, options, settings.BACKUPSITE_ENGINE_SETTINGS)
