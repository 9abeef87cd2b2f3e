"""The guard over the audit, as a PostgreSQL server holds it. (SQLite's is tested with the rest.)"""

from collections.abc import Callable
from contextlib import closing

import psycopg2
import pytest

from audit.triggers import POSTGRESQL
from tests.servers.postgres import PostgresServer

TABLES = """
CREATE TABLE audit_entry (id bigint, at timestamptz, who text);
CREATE TABLE audit_purge (before timestamptz);
INSERT INTO audit_entry VALUES (1, now() - interval '40 days', 'old'), (2, now(), 'young');
"""


def test_postgresql_lets_go_of_what_a_purge_let_go_and_of_nothing_else(
    postgres: Callable[[int], PostgresServer], fresh_database: Callable[[PostgresServer], str]
) -> None:
    server = postgres(16)
    with closing(psycopg2.connect(server.dsn(fresh_database(server)))) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        for statement in (TABLES, *POSTGRESQL.values()):
            cursor.execute(statement)
        for refused in ("UPDATE audit_entry SET who = 'x'", "DELETE FROM audit_entry WHERE id = 1"):
            with pytest.raises(psycopg2.Error, match="neither changed nor removed"):
                cursor.execute(refused)
        cursor.execute("INSERT INTO audit_purge VALUES (now() - interval '30 days')")
        cursor.execute("DELETE FROM audit_entry WHERE id = 1")
        with pytest.raises(psycopg2.Error, match="neither changed nor removed"):
            cursor.execute("DELETE FROM audit_entry")
        cursor.execute("SELECT who FROM audit_entry")
        assert cursor.fetchall() == [("young",)]
