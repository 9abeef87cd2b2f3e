"""What a dump holds beside its rows, read from the catalogs: in the dump's snapshot, and again in what was restored.

Only what pg_dump writes is read, and only in a form that the versions agree on: constraints of partitions come with
their parent, NOT NULL is a constraint for some versions only, invalid indexes are not dumped.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from databases.engines.postgres.catalog import USER_SCHEMA, Selection, Table, tables
from databases.engines.postgres.session import Session

RELATIONS = ("r", "p", "m", "v", "f", "S")
TABLES = ("r", "p", "m")
MANY = 5000  # definitions of a kind that are kept as they are; of more, their digests
DIGEST = "sha256:"
SEQUENCES_AT_ONCE = 500

# The same text for the same value, on every version and whatever a role or database sets.
SETTINGS = """
SET search_path = ''; SET row_security = off; SET jit = off; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres';
SET timezone = 'UTC'; SET extra_float_digits = 1; SET bytea_output = 'hex'; SET lc_monetary = 'C';
SET xmloption = 'content'; SET standard_conforming_strings = on; SET quote_all_identifiers = off
"""

Rows = Callable[[str], Sequence[tuple[Any, ...]]]


@dataclass(frozen=True)
class Held:
    """The relations a dump holds: name -> relkind. `all_else`: also what belongs to no table.

    pg_dump leaves invalid indexes out, but for those of partitioned tables; `invalid_too` is for what was restored.
    """

    relations: Mapping[str, str]
    all_else: bool
    invalid_too: bool = False

    @cached_property
    def tables(self) -> set[str]:
        return {name for name, kind in self.relations.items() if kind in TABLES}


def held(relations: Sequence[Table], selection: Selection) -> Held:
    """pg_dump leaves extensions, functions and large objects out where tables or schemas are named."""
    return Held({table.name: table.kind for table in relations}, not (selection.include or selection.schemas))


def held_now(session: Session) -> list[Table]:
    return tables(session, Selection(), kinds=RELATIONS)


def views(what: Held) -> list[str]:
    return sorted(name for name, kind in what.relations.items() if kind in ("v", "f"))


def _outside(catalog: str, column: str) -> str:
    """Neither an extension's nor made by the server itself (a range's constructors)."""
    return f"""NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend x WHERE x.deptype IN ('e', 'i')
        AND x.classid = 'pg_catalog.{catalog}'::pg_catalog.regclass AND x.objid = {column})"""


def _definition(expression: str) -> str:
    digest = f"'{DIGEST}' || encode(sha256(convert_to({expression}, 'UTF8')), 'hex')"
    return f"CASE WHEN count(*) OVER () > {MANY} THEN {digest} ELSE {expression} END"


def digest_of(definition: str) -> str:
    """Of a definition, or of what already is one's digest."""
    if definition.startswith(DIGEST):
        return definition
    return DIGEST + hashlib.sha256(definition.encode()).hexdigest()


NAME = "format('%I.%I', n.nspname, c.relname)"
INDEXES = f"""
SELECT format('%I.%I', n.nspname, i.relname), {NAME}, {_definition("pg_get_indexdef(x.indexrelid)")}, x.indisvalid
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {USER_SCHEMA} ORDER BY 1
"""
CONSTRAINTS = f"""
SELECT format('%I', k.conname), {NAME}, {_definition("pg_get_constraintdef(k.oid)")}
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {USER_SCHEMA} AND k.contype IN ('c', 'f', 'p', 'u', 'x') AND k.conparentid = 0 ORDER BY 2, 1
"""
DOMAIN_CONSTRAINTS = f"""
SELECT format('%I', k.conname), format('%I.%I', n.nspname, t.typname), pg_get_constraintdef(k.oid)
FROM pg_constraint k JOIN pg_type t ON t.oid = k.contypid JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE {USER_SCHEMA} AND k.contype = 'c' AND {_outside("pg_type", "t.oid")} ORDER BY 2, 1
"""
TRIGGERS = f"""
SELECT format('%I', g.tgname), {NAME} FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {USER_SCHEMA} AND NOT g.tgisinternal AND g.tgparentid = 0 ORDER BY 2, 1
"""
POLICIES = f"""
SELECT format('%I', p.polname), {NAME} FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {USER_SCHEMA} ORDER BY 2, 1
"""
FUNCTIONS = f"""
SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE {USER_SCHEMA} AND {_outside("pg_proc", "p.oid")}
"""
SEQUENCES = f"""
SELECT {NAME}, s.seqincrement, s.seqcycle, d.deptype::text,
  CASE WHEN t.oid IS NOT NULL THEN format('%I.%I', tn.nspname, t.relname) END, pg_sequence_last_value(c.oid)
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
  AND d.deptype IN ('a', 'i')
LEFT JOIN pg_class t ON t.oid = d.refobjid LEFT JOIN pg_namespace tn ON tn.oid = t.relnamespace
WHERE {USER_SCHEMA} AND NOT EXISTS (SELECT 1 FROM pg_depend e WHERE e.deptype = 'e'
  AND e.classid = 'pg_class'::regclass AND e.objid = c.oid) ORDER BY 1
"""


def indexes(rows: Rows, what: Held) -> dict[str, Any]:
    return {
        name: {"table": table, "definition": definition, "valid": valid}
        for name, table, definition, valid in rows(INDEXES)
        if table in what.tables and (valid or what.invalid_too or what.relations[table] == "p")
    }


def constraints(rows: Rows, what: Held) -> dict[str, Any]:
    found = [row for row in rows(CONSTRAINTS) if row[1] in what.relations]
    found += rows(DOMAIN_CONSTRAINTS) if what.all_else else ()
    return {f"{name} on {on}": {"table": on, "definition": definition} for name, on, definition in found}


def triggers(rows: Rows, what: Held) -> list[str]:
    return [f"{name} on {on}" for name, on in rows(TRIGGERS) if on in what.relations]


def policies(rows: Rows, what: Held) -> list[str]:
    return [f"{name} on {on}" for name, on in rows(POLICIES) if on in what.relations]


def functions(rows: Rows, what: Held) -> list[str]:
    return sorted(name for (name,) in rows(FUNCTIONS))


def sequences(rows: Rows, what: Held) -> dict[str, Any]:
    """A sequence is held when it was chosen itself or its table is; an identity column's only with its table."""
    found = {
        name: {"increment": increment, "cycles": cycles, "last_value": last, "is_called": last is not None}
        for name, increment, cycles, owning, table, last in rows(SEQUENCES)
        if table in what.tables or (owning != "i" and name in what.relations)
    }
    fresh = [name for name in found if not found[name]["is_called"]]
    for first in range(0, len(fresh), SEQUENCES_AT_ONCE):
        batch = fresh[first : first + SEQUENCES_AT_ONCE]
        parts = [f"SELECT {number}, last_value, is_called FROM {name}" for number, name in enumerate(batch)]
        for number, last, called in rows(" UNION ALL ".join(parts)):
            found[batch[number]] |= {"last_value": last, "is_called": called}
    return found


READERS: Mapping[str, Callable[[Rows, Held], Any]] = {
    "sequences": sequences,
    "indexes": indexes,
    "constraints": constraints,
    "triggers": triggers,
    "policies": policies,
}
READERS_OF_ALL: Mapping[str, Callable[[Rows, Held], Any]] = {"functions": functions}


def readers(what: Held) -> Mapping[str, Callable[[Rows, Held], Any]]:
    return {**READERS, **READERS_OF_ALL} if what.all_else else READERS
