"""What the server's catalogs say; run inside the dump's snapshot, so that it is true for the dump."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from databases.engines.postgres.patterns import expression
from databases.engines.postgres.session import Session

USER_SCHEMA = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
NOT_OF_EXTENSION = """NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d WHERE d.deptype = 'e'
    AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid)"""


@dataclass(frozen=True)
class Table:
    """`name` is quoted as SQL wants it. `kind` is pg_class.relkind; `size` is bytes on disk without indexes."""

    name: str
    schema: str
    kind: str
    size: int
    estimate: int | None


@dataclass(frozen=True)
class Selection:
    """Which tables a dump holds, as pg_dump's -t, -T and -n patterns."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    schemas: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        return not (self.include or self.exclude or self.schemas)


def tables(
    session: Session, selection: Selection, kinds: Sequence[str] = ("r", "p", "m"), *, sizes: bool = True
) -> list[Table]:
    """`sizes` needs a moment's lock on each table (the session's lock_timeout applies); without, they are 0."""
    size = "CASE WHEN c.relkind IN ('r', 'p', 'm') THEN pg_catalog.pg_table_size(c.oid) ELSE 0 END" if sizes else "0"
    where = [USER_SCHEMA, NOT_OF_EXTENSION, 'c.relkind = ANY (%s::"char"[])']
    parameters: list[Any] = [list(kinds)]
    for patterns, negate in ((selection.include, False), (selection.exclude, True)):
        if patterns:
            parts = [_matches(pattern, parameters) for pattern in patterns]
            where.append(f"{'NOT ' if negate else ''}({' OR '.join(parts)})")
    if selection.schemas and not selection.include:
        parameters += [expression(pattern)[1] for pattern in selection.schemas]
        where.append("(" + " OR ".join(["n.nspname ~ %s"] * len(selection.schemas)) + ")")
    rows = session.rows(
        f"""SELECT format('%%I.%%I', n.nspname, c.relname), n.nspname, c.relkind::text,
               {size}, c.reltuples::bigint
            FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE {" AND ".join(where)} ORDER BY 4, 1""",
        parameters,
    )
    return [
        Table(name=name, schema=schema, kind=kind, size=size or 0, estimate=rows if rows >= 0 else None)
        for name, schema, kind, size, rows in rows
    ]


def _matches(pattern: str, parameters: list[Any]) -> str:
    schema, name = expression(pattern)
    parameters.append(name)
    if schema is None:
        return "(c.relname ~ %s AND pg_catalog.pg_table_is_visible(c.oid))"
    parameters.append(schema)
    return "(c.relname ~ %s AND n.nspname ~ %s)"


def facts(session: Session) -> dict[str, Any]:
    """Figures of the whole database: what a restore needs to know beforehand, and an operator likes to see."""
    size, encoding, collate, ctype = session.rows(DATABASE)[0]
    return {
        "database_size": size,
        "encoding": encoding,
        "collate": collate,
        "ctype": ctype,
        "extensions": dict(session.rows("SELECT extname, extversion FROM pg_catalog.pg_extension ORDER BY 1")),
        "large_objects": session.value("SELECT count(*) FROM pg_catalog.pg_largeobject_metadata"),
        "sequences": session.value(
            f"""SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                WHERE c.relkind = 'S' AND {USER_SCHEMA}"""
        ),
        "relations": session.value("SELECT count(*) FROM pg_catalog.pg_class WHERE oid >= 16384"),
        "roles": [row[0] for row in session.rows(ROLES)],
    }


DATABASE = """
SELECT pg_catalog.pg_database_size(oid), pg_catalog.pg_encoding_to_char(encoding), datcollate, datctype
FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()
"""
# Owners, grantees and roles of policies. pg_shdepend leaves the first superuser out, hence its own objects.
ROLES = """
SELECT DISTINCT r.rolname FROM pg_catalog.pg_shdepend d JOIN pg_catalog.pg_roles r ON r.oid = d.refobjid
WHERE d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
  AND d.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
UNION
SELECT r.rolname FROM pg_catalog.pg_roles r WHERE r.oid = 10 AND (
  EXISTS (SELECT 1 FROM pg_catalog.pg_class WHERE relowner = 10 AND oid >= 16384)
  OR EXISTS (SELECT 1 FROM pg_catalog.pg_proc WHERE proowner = 10 AND oid >= 16384)
  OR EXISTS (SELECT 1 FROM pg_catalog.pg_type WHERE typowner = 10 AND oid >= 16384)
  OR EXISTS (SELECT 1 FROM pg_catalog.pg_namespace WHERE nspowner = 10 AND oid >= 16384))
ORDER BY 1
"""


def unreadable(session: Session, selection: Selection) -> list[str]:
    """Tables and sequences of the selection that this user may not read."""
    names = {table.name for table in tables(session, selection, kinds=("r", "p", "m", "S"), sizes=False)}
    rows = session.rows(
        """SELECT format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
           WHERE c.relkind IN ('r', 'p', 'm', 'S') AND NOT (pg_catalog.has_table_privilege(c.oid, 'SELECT')
             AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')) ORDER BY 1"""
    )
    return [name for (name,) in rows if name in names]


def row_secured(session: Session) -> list[str]:
    """Tables whose row security applies to this user."""
    rows = session.rows(
        f"""SELECT format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relrowsecurity AND {USER_SCHEMA} AND pg_catalog.row_security_active(c.oid) ORDER BY 1"""
    )
    return [name for (name,) in rows]
