"""Selected tables of a custom archive: everything that makes each table whole, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from databases.engines.postgres.archive import Entry, Head
from databases.engines.postgres.patterns import expression
from databases.engines.postgres.session import Session
from jobs.errors import BackupError

RELATIONS = frozenset({"TABLE", "VIEW", "MATERIALIZED VIEW", "FOREIGN TABLE"})
HOLD_ROWS = frozenset({"TABLE", "MATERIALIZED VIEW"})
# What hangs on a table and comes with it.
PARTS = frozenset(
    {
        *("TABLE DATA", "MATERIALIZED VIEW DATA", "TABLE ATTACH", "DEFAULT", "STATISTICS", "STATISTICS DATA"),
        *("INDEX", "INDEX ATTACH", "CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT"),
        *("SEQUENCE", "SEQUENCE OWNED BY", "SEQUENCE SET"),
        *("TRIGGER", "RULE", "POLICY", "ROW SECURITY", "ACL", "COMMENT", "SECURITY LABEL"),
    }
)
PRESENT = {
    "SCHEMA": "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %(tag)s)",
    "EXTENSION": "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_extension WHERE extname = %(tag)s)",
    "TYPE": "SELECT pg_catalog.to_regtype(format('%%I.%%I', %(schema)s, %(tag)s)) IS NOT NULL",
    "RELATION": "SELECT pg_catalog.to_regclass(format('%%I.%%I', %(schema)s, %(tag)s)) IS NOT NULL",
    "ROUTINE": "SELECT pg_catalog.to_regprocedure(format('%%I.', %(schema)s) || %(tag)s) IS NOT NULL",
}
KIND_OF = {
    **dict.fromkeys(("SCHEMA",), "SCHEMA"),
    **dict.fromkeys(("EXTENSION",), "EXTENSION"),
    **dict.fromkeys(("TYPE", "DOMAIN", "SHELL TYPE"), "TYPE"),
    **dict.fromkeys((*RELATIONS, "SEQUENCE"), "RELATION"),
    **dict.fromkeys(("FUNCTION", "PROCEDURE"), "ROUTINE"),
}


@dataclass(frozen=True)
class Selected:
    """`entries` keep the archive's order; `notes` say what was left out."""

    entries: tuple[Entry, ...]
    notes: tuple[str, ...]

    @property
    def relations(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.kind in RELATIONS)


def select(head: Head, include: Sequence[str], session: Session) -> Selected:
    """Raises BackupError: nothing_matches for a name that the archive does not hold; incomplete_selection when the
    chosen stand on a table that is neither chosen nor in the target: it would come back without its rows."""
    by_id = {entry.id: entry for entry in head.entries}
    chosen = _named(head, include)
    grown = True
    while grown:
        grown = False
        for entry in head.entries:
            if entry.id not in chosen and _belongs(entry, chosen, by_id):
                chosen |= {entry.id} | _brought(entry, by_id)
                grown = True
    notes = tuple(
        f"The foreign key {entry.tag} was left out: the table at its other end is not selected."
        for entry in head.entries
        if entry.kind == "FK CONSTRAINT" and entry.id not in chosen and chosen.intersection(entry.dependencies)
    )
    needed = _needed(chosen, by_id, session)
    entries = tuple(entry for entry in head.entries if entry.id in chosen | needed)
    return Selected(entries, notes)


def _named(head: Head, include: Sequence[str]) -> set[int]:
    chosen: set[int] = set()
    for pattern in include:
        schema, name = expression(pattern)
        found = {
            entry.id
            for entry in head.entries
            if entry.kind in RELATIONS
            and re.search(name, entry.tag)
            and re.search(schema or "^public$", entry.namespace)
        }
        if not found:
            raise BackupError(
                f"The backup holds no table {pattern}.",
                code="nothing_matches",
                permanent=True,
                hint="See its manifest.",
            )
        chosen |= found
    return chosen


def _belongs(entry: Entry, chosen: set[int], by_id: dict[int, Entry]) -> bool:
    """An entry comes along when every relation or index it stands on is chosen."""
    if entry.kind not in PARTS or not chosen.intersection(entry.dependencies):
        return False
    if entry.kind == "SEQUENCE OWNED BY":
        return True
    if entry.kind == "DEFAULT":  # its sequence may be anywhere
        return True
    if entry.kind == "TABLE ATTACH":  # partitions come with their parent
        parent = max(entry.dependencies, key=lambda number: _attach_rank(number, entry, by_id))
        return parent in chosen or chosen.issuperset(entry.dependencies)
    standing = [number for number in entry.dependencies if _is_ground(by_id.get(number))]
    return chosen.issuperset(standing)


def _attach_rank(number: int, entry: Entry, by_id: dict[int, Entry]) -> bool:
    other = by_id.get(number)
    return other is not None and other.tag != entry.tag


def _is_ground(entry: Entry | None) -> bool:
    return entry is not None and (entry.kind in RELATIONS or entry.kind in ("INDEX", "CONSTRAINT", "SEQUENCE"))


def _brought(entry: Entry, by_id: dict[int, Entry]) -> set[int]:
    """Owned sequences come with their table, partitions with their parent."""
    if entry.kind not in ("SEQUENCE OWNED BY", "TABLE ATTACH"):
        return set()
    return {
        number for number in entry.dependencies if number in by_id and by_id[number].kind in (*RELATIONS, "SEQUENCE")
    }


def _needed(chosen: set[int], by_id: dict[int, Entry], session: Session) -> set[int]:
    """Types, functions, schemas, extensions the chosen stand on, as far as the target lacks them."""
    needed: set[int] = set()
    waiting = [number for identity in chosen for number in by_id[identity].dependencies]
    schemas = {entry.tag: entry.id for entry in by_id.values() if entry.kind == "SCHEMA"}
    waiting += [schemas[by_id[number].namespace] for number in chosen if by_id[number].namespace in schemas]
    while waiting:
        entry = by_id.get(waiting.pop())
        if entry is None or entry.id in chosen | needed or _present(entry, session):
            continue
        if entry.kind in HOLD_ROWS:
            raise BackupError(
                f"What is selected stands on {entry.namespace}.{entry.tag}, which the target lacks.",
                code="incomplete_selection",
                permanent=True,
                hint="Name that one too.",
            )
        needed.add(entry.id)
        waiting += entry.dependencies
        if entry.namespace in schemas:
            waiting.append(schemas[entry.namespace])
    return needed


def _present(entry: Entry, session: Session) -> bool:
    if entry.kind not in KIND_OF:
        return False
    return bool(session.value(PRESENT[KIND_OF[entry.kind]], {"tag": entry.tag, "schema": entry.namespace}))
