"""The masking rules of a restore as SQL of its own transaction (mask.sql), and what came of them."""

import base64
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from databases.engines import fakes
from databases.engines.postgres.archive import Entry
from databases.engines.proof import Mask
from databases.engines.rules import rule_fault
from jobs.errors import BackupError

SQL = (Path(__file__).parent / "mask.sql").read_text(encoding="utf-8")
MASKED = re.compile(r"backupsite masked (?P<number>\d+) (?P<rows>\d+)\Z")
SCHEMA = re.compile(r'("(?:[^"]|"")+"|[^".]+)\..+', re.DOTALL)


def mask_fault(mask: Mask) -> str:
    if not SCHEMA.fullmatch(mask.item):
        return "Name the table with its schema: public.customers."
    return rule_fault(mask)


class Masked:
    """Counts the rows that the server says it has masked, by `item.column`."""

    def __init__(self, masks: Sequence[Mask]) -> None:
        self._names = [f"{mask.item}.{mask.column}" for mask in masks]
        self.rows: dict[str, int] = {}

    def line(self, text: str) -> None:
        found = MASKED.search(text)
        if found and int(found["number"]) < len(self._names):
            name = self._names[int(found["number"])]
            self.rows[name] = self.rows.get(name, 0) + int(found["rows"])

    def notes(self) -> tuple[str, ...]:
        left = [name for name in self._names if name not in self.rows]
        return (f"Masking rules for what was not restored had nothing to do: {', '.join(left)}.",) if left else ()


def require_transaction(*, atomic: bool) -> None:
    """Raises BackupError(code="unsupported") where rows could be read before they are masked."""
    if not atomic:
        raise BackupError(
            "This restore would commit in several steps, so that rows could be read before they are masked.",
            code="unsupported",
            permanent=True,
            hint="Raise max_locks_per_transaction of the target, or make backups in the custom format.",
        )


def masking_sql(
    masks: Sequence[Mask],
    *,
    entries: Sequence[Entry],
    only: Sequence[tuple[Entry, str]] | None,
    partial: bool = False,
) -> str:
    """`only` are the chosen relations with their quoted names, None for a restore of everything. Where the restore or
    the backup is `partial` it may lack what a rule names.

    Base64 stands between the rules and the SQL: it has no sign that ends a text.
    """
    rules = [
        {"number": number, "item": item, "column": mask.column, "method": mask.method, "value": mask.value}
        for number, mask in enumerate(masks)
        for item in _places(mask.item, entries, only)
    ]
    names = None if only is None else [name for _, name in only]
    made_up = {"first": fakes.FIRST, "last": fakes.LAST, "words": fakes.WORDS}
    document = {"rules": rules, "only": names, "partial": partial or only is not None, **made_up}
    return SQL.replace("{rules}", base64.b64encode(json.dumps(document).encode()).decode(), 1)


def _places(item: str, entries: Sequence[Entry], only: Sequence[tuple[Entry, str]] | None) -> Iterable[str]:
    """The table itself; of a partitioned one that is not chosen, those of its partitions that are."""
    if only is None:
        return [item]
    parents = _parents(entries)
    chosen = {entry.id: name for entry, name in only}
    below = []
    for entry, name in only:
        above = parents.get(entry.id)
        while above is not None and above.id not in chosen:
            if item in _names(above):
                below.append(name)
            above = parents.get(above.id)
    return [item, *below]


def _names(entry: Entry) -> tuple[str, str]:
    quoted = ".".join('"' + part.replace('"', '""') + '"' for part in (entry.namespace, entry.tag))
    return f"{entry.namespace}.{entry.tag}", quoted


def _parents(entries: Sequence[Entry]) -> dict[int, Entry]:
    tables = {entry.id: entry for entry in entries if entry.kind in ("TABLE", "FOREIGN TABLE")}
    found = {}
    for entry in entries:
        if entry.kind == "TABLE ATTACH":
            both = [tables[number] for number in entry.dependencies if number in tables]
            own = [one for one in both if (one.namespace, one.tag) == (entry.namespace, entry.tag)]
            others = [one for one in both if one not in own]
            if own and others:
                found[own[0].id] = others[0]
    return found
