"""The tables of the tests' own database: there from the start, and emptied by deleting rows alone.

Both are what Django does, without making again what no test changes: the tables, which are made once in a run, and the
rows of content types and permissions, which `flush` removes and writes anew after every test that commits.
"""

from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.test import TransactionTestCase

from audit.models import Entry
from audit.triggers import lifted
from tests.prepared import put_tables

KEPT = {"django_content_type", "auth_permission"}
flush = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """The room of the run goes with everything in it."""
    return True


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        put_tables(Path(database["TEST"]["NAME"]))


def empty(case: TransactionTestCase) -> None:
    """What `case` left, in the one database there is."""
    if connection.vendor != "sqlite":
        flush(case)
    elif Entry.objects.exists():
        with lifted(connection):
            _delete_rows()
    else:
        _delete_rows()


def _delete_rows() -> None:
    tables = set(connection.introspection.django_table_names(only_existing=True, include_views=False)) - KEPT
    with transaction.atomic(), connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")


TransactionTestCase._fixture_teardown = empty  # type: ignore[attr-defined]
