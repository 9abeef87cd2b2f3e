"""Reads about Databases."""

from databases.engines import registry
from databases.engines.base import Connection
from databases.models import Database


def address_of(database: Database) -> str:
    """Where the Database is, short and without a secret; opens none."""
    connection = Connection(
        host=database.host,
        port=database.port,
        username=database.username,
        database_name=database.database_name,
    )
    return registry.engine_class(database.engine).address(connection, database.options)
