"""The site database's own guard over the audit: no entry is changed, none is removed that no purge let go."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SQLITE = {
    "audit_entry_no_update": """
        CREATE TRIGGER audit_entry_no_update BEFORE UPDATE ON audit_entry
        BEGIN SELECT RAISE(ABORT, 'entries of the audit are not changed'); END""",
    "audit_entry_no_delete": """
        CREATE TRIGGER audit_entry_no_delete BEFORE DELETE ON audit_entry
        WHEN NOT EXISTS (SELECT 1 FROM audit_purge WHERE audit_purge.before > OLD.at)
        BEGIN SELECT RAISE(ABORT, 'entries of the audit are not removed'); END""",
}
POSTGRESQL = {
    "audit_entry_no_update": """
        CREATE OR REPLACE FUNCTION audit_entry_kept() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF TG_OP = 'DELETE' AND EXISTS (SELECT 1 FROM audit_purge WHERE audit_purge.before > OLD.at) THEN
            RETURN OLD;
          END IF;
          RAISE EXCEPTION 'entries of the audit are neither changed nor removed';
        END $$;
        CREATE TRIGGER audit_entry_no_update BEFORE UPDATE ON audit_entry
        FOR EACH ROW EXECUTE FUNCTION audit_entry_kept()""",
    "audit_entry_no_delete": """
        CREATE TRIGGER audit_entry_no_delete BEFORE DELETE ON audit_entry
        FOR EACH ROW EXECUTE FUNCTION audit_entry_kept()""",
}


def install(connection: Any) -> None:
    """On other databases the model alone holds the rule."""
    statements = {"sqlite": SQLITE, "postgresql": POSTGRESQL}.get(connection.vendor, {})
    with connection.cursor() as cursor:
        for statement in statements.values():
            cursor.execute(statement)


def remove(connection: Any) -> None:
    with connection.cursor() as cursor:
        for name in SQLITE if connection.vendor == "sqlite" else ():
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
        for name in POSTGRESQL if connection.vendor == "postgresql" else ():
            cursor.execute(f"DROP TRIGGER IF EXISTS {name} ON audit_entry")


@contextmanager
def lifted(connection: Any) -> Iterator[None]:
    remove(connection)
    try:
        yield
    finally:
        install(connection)
