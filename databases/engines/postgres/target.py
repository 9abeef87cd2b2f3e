"""What is in the target of a restore, and the SQL that empties it."""

from collections.abc import Sequence

from databases.engines.postgres.catalog import USER_SCHEMA
from databases.engines.postgres.session import Session
from jobs.errors import BackupError

# Objects that stand in a schema of the user's and belong to no extension; extensions alone leave a target empty.
OBJECTS = f"""
SELECT d.classid, d.objid FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_namespace n ON n.oid = d.refobjid
WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.deptype = 'n' AND {USER_SCHEMA}
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend e
                  WHERE e.classid = d.classid AND e.objid = d.objid AND e.deptype = 'e')
"""


def require_empty(session: Session) -> None:
    """Raises BackupError(code="target_not_empty") when the target holds tables, other objects or large objects."""
    found = session.rows(
        f"""SELECT (pg_catalog.pg_identify_object(classid, objid, 0)).identity FROM ({OBJECTS}) o ORDER BY 1 LIMIT 3"""
    )
    names = [row[0] for row in found]
    if not names and session.value("SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_largeobject_metadata)"):
        names = ["large objects"]
    if names:
        raise _not_empty(f"The target holds {', '.join(names)}{', ...' if len(names) == 3 else ''}.")


def require_absent(session: Session, tables: Sequence[str]) -> None:
    """For a restore of selected tables: the rest of the target stays as it is."""
    found = [name for name in tables if session.value("SELECT pg_catalog.to_regclass(%s) IS NOT NULL", [name])]
    if found:
        raise _not_empty(f"The target already holds {', '.join(found[:5])}.")


def _not_empty(message: str) -> BackupError:
    return BackupError(
        message,
        code="target_not_empty",
        permanent=True,
        hint="Restore into an empty database, or confirm with drop_existing that this may be dropped.",
    )


def locks(session: Session) -> int:
    """About how many objects one transaction of the target can create or drop."""
    return int(
        session.value(
            """SELECT current_setting('max_locks_per_transaction')::bigint
               * (current_setting('max_connections')::bigint + current_setting('max_prepared_transactions')::bigint)"""
        )
    )


def drop_relations(relations: Sequence[tuple[str, str]]) -> list[str]:
    """SQL that drops these (kind, quoted name), given in the archive's order, and nothing that depends on them.

    Views go one by one, the last first, because they stand on each other; tables at once, because of foreign keys.
    """
    tables = [name for kind, name in relations if kind == "TABLE"]
    others = [f"DROP {kind} IF EXISTS {name};" for kind, name in reversed(relations) if kind != "TABLE"]
    return others + ([f"DROP TABLE IF EXISTS {', '.join(tables)};"] if tables else [])


def drop_everything(*, commit: bool) -> str:
    """A DO block that drops all a user can have made in the target; the database and its own settings stay.

    With `commit` each object is a transaction of its own: for targets with more objects than one can lock.
    """
    done = "COMMIT;" if commit else ""
    loops = "".join(
        f"""
  FOR item IN {query} LOOP
    EXECUTE pg_catalog.format({statement}); {done}
  END LOOP;"""
        for query, statement in _DROPS
    )
    return f"""DO $backupsite$
DECLARE item record;
BEGIN{loops}
  LOOP
    SELECT i.type, i.identity INTO item FROM ({OBJECTS}) o,
      LATERAL pg_catalog.pg_identify_object(o.classid, o.objid, 0) i LIMIT 1;
    EXIT WHEN NOT FOUND;
    EXECUTE pg_catalog.format('DROP %s %s CASCADE', CASE item.type WHEN 'composite type' THEN 'type'
      WHEN 'statistics object' THEN 'statistics' ELSE item.type END, item.identity); {done}
  END LOOP;
END $backupsite$;
"""


_DROPS = (
    ("SELECT evtname AS name FROM pg_catalog.pg_event_trigger", "'DROP EVENT TRIGGER %I CASCADE', item.name"),
    ("SELECT pubname AS name FROM pg_catalog.pg_publication", "'DROP PUBLICATION %I CASCADE', item.name"),
    (
        "SELECT extname AS name FROM pg_catalog.pg_extension WHERE extname <> 'plpgsql'",
        "'DROP EXTENSION IF EXISTS %I CASCADE', item.name",
    ),
    # public stays, with its owner and rights, since a dump leaves it out; what stands in it goes one by one, below.
    (
        f"SELECT nspname AS name FROM pg_catalog.pg_namespace n WHERE {USER_SCHEMA} AND nspname <> 'public'",
        "'DROP SCHEMA IF EXISTS %I CASCADE', item.name",
    ),
    (
        "SELECT fdwname AS name FROM pg_catalog.pg_foreign_data_wrapper",
        "'DROP FOREIGN DATA WRAPPER IF EXISTS %I CASCADE', item.name",
    ),
    ("SELECT oid AS name FROM pg_catalog.pg_largeobject_metadata", "'SELECT pg_catalog.lo_unlink(%L)', item.name"),
)
