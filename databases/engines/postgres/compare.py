"""What was restored, against the manifest of the backup: tables, rows, hashes, and what stands around them."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any

from databases.engines.base import Connection, Guard
from databases.engines.postgres import facts, hashes
from databases.engines.postgres.archive import major_of
from databases.engines.postgres.catalog import Table
from databases.engines.postgres.catalog import facts as figures
from databases.engines.postgres.counts import batches
from databases.engines.postgres.login import login
from databases.engines.postgres.options import PostgresOptions
from databases.engines.postgres.session import Session, connect
from databases.engines.proof import MAX_DIFFERENCES, Comparison, Difference

STATEMENT_LIMIT = "6h"  # of one question; the job's own limits end it sooner
NAMED_IN_NOTES = 5
LOGGED = 64 << 20  # bytes of a table whose reading is worth a line in the job's log
KINDS = {"views": "view", "triggers": "trigger", "policies": "policy", "functions": "function"}


class Tally:
    """Counts what is compared and keeps the first differences."""

    def __init__(self) -> None:
        self.checked: Counter[str] = Counter()
        self.differences: list[Difference] = []
        self.total = 0
        self.notes: list[str] = []

    def check(self, kind: str, name: str, expected: Any, found: Any) -> bool:
        self.checked[kind] += 1
        if expected == found:
            return True
        self.total += 1
        if len(self.differences) < MAX_DIFFERENCES:
            self.differences.append(Difference(kind, name, expected, found))
        return False

    def presence(self, kind: str, expected: Collection[str], found: Collection[str]) -> None:
        """Missing ones first, then those that nobody expected."""
        for name in sorted(expected):
            self.check(kind, name, "present", "present" if name in found else None)
        for name in sorted(set(found) - set(expected)):
            self.check(kind, name, None, "present")

    def note(self, names: Collection[str], words: str) -> None:
        if names:
            shown = ", ".join(sorted(names)[:NAMED_IN_NOTES]) + (", ..." if len(names) > NAMED_IN_NOTES else "")
            self.notes.append(f"{words}: {shown}.")

    def comparison(self, server_version: str) -> Comparison:
        notes = tuple(self.notes)
        return Comparison(dict(self.checked), tuple(self.differences), self.total, server_version, notes)


def compare(connection: Connection, options: PostgresOptions, manifest: Mapping[str, Any], guard: Guard) -> Comparison:
    """In one snapshot; differences come in a fixed order: tables, rows, hashes, then kind by kind, by name."""
    with login(connection, options) as who, connect(who, guard=guard) as session:
        session.run(f"{facts.SETTINGS}; SET statement_timeout = '{STATEMENT_LIMIT}'")
        session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        found = facts.held_now(session)
        work = _Comparing(session, manifest, guard, found)
        for step in (work.tables, work.rows, work.row_hashes, work.others):
            guard.check()
            step()
        return work.tally.comparison(session.server_version)


class _Comparing:
    def __init__(self, session: Session, manifest: Mapping[str, Any], guard: Guard, found: list[Table]) -> None:
        self._session = session
        self._manifest = manifest
        self._facts: Mapping[str, Any] = manifest.get("facts") or {}
        self._guard = guard
        self._found = {table.name: table for table in found}
        selection = manifest.get("selection") or {}
        # pg_dump leaves extensions, functions and large objects out where tables or schemas are named.
        self._all_else = not (selection.get("include") or selection.get("schemas"))
        self._held = facts.Held({table.name: table.kind for table in found}, self._all_else, invalid_too=True)
        self._here = figures(session)
        self._same_major = major_of(str(manifest.get("server_version", ""))) == session.server_major
        self.tally = Tally()

    def tables(self) -> None:
        # Manifests from before tables were listed in all their kinds name those that hold rows.
        expected = self._manifest.get("tables") or self._manifest.get("counts") or {}
        self.tally.presence("table", expected, self._held.tables)

    def rows(self) -> None:
        counts = self._manifest.get("counts") or {}
        self.tally.note([name for name in counts if counts[name] is None], "Not compared, as the dump did not count it")
        for batch in self._batches([name for name, count in counts.items() if count is not None]):
            parts = [f"SELECT {number}, count(*) FROM ONLY {table.name}" for number, table in enumerate(batch)]
            found = dict(self._answer("counted", batch, " UNION ALL ".join(parts)))
            for number, table in enumerate(batch):
                self.tally.check("rows", table.name, counts[table.name], found[number])

    def row_hashes(self) -> None:
        if "facts" not in self._manifest:
            self.tally.notes.append(
                "The backup was made before manifests held facts: rows are compared by their number, not by what is in "
                "them, and neither are indexes, constraints, sequences and functions."
            )
            return
        expected: Mapping[str, Any] = self._facts.get("row_hashes") or {}
        rowful = [name for name in self._manifest.get("counts") or {} if name not in expected]
        self.tally.note(rowful, "Compared without a hash of its rows, as the dump took none")
        sampled = [name for name in expected if expected[name]["from"] is not None]
        self.tally.note(sampled, "Compared by a sample of its rows")
        if self._manifest.get("encoding") != self._here["encoding"]:
            self.tally.notes.append(f"Not compared by hash: this database is encoded in {self._here['encoding']}.")
            return
        for batch in self._batches(expected):
            here = hashes.hashed(self._session, [table.name for table in batch])
            queries = {name: hashes.again(table, expected[name]) for name, table in here.items()}
            parts = [f"SELECT {number}, w.* FROM ({queries[table.name]}) w" for number, table in enumerate(batch)]
            rows = self._answer("hashed", batch, " UNION ALL ".join(parts))
            found = {batch[number].name: hashes.fact(count, total)["hash"] for number, count, total in rows}
            for table in batch:
                self.tally.check("row_hash", table.name, expected[table.name]["hash"], found[table.name])

    def others(self) -> None:
        """Kind by kind, as far as the manifest has them."""
        self._extensions()
        if "facts" not in self._manifest:
            return
        left_out = [f"{what} ({why})" for what, why in (self._facts.get("not_taken") or {}).items()]
        self.tally.note(left_out, "Not compared, as the dump did not read it")
        readers = facts.readers(self._held)
        compares: dict[str, Callable[..., None]] = {
            "sequences": self._sequences,
            "indexes": self._indexes,
            "constraints": self._constraints,
        }
        for kind in ("sequences", "indexes", "constraints", "views", "triggers", "policies", "functions"):
            if kind in self._facts:
                self._guard.check()
                found = facts.views(self._held) if kind == "views" else readers[kind](self._session.rows, self._held)
                if kind in compares:
                    compares[kind](self._facts[kind], found)
                else:
                    self.tally.presence(KINDS[kind], self._facts[kind], found)

    def _extensions(self) -> None:
        if not self._all_else:
            return
        here = self._here
        expected: Mapping[str, str] = self._manifest.get("extensions") or {}
        self.tally.presence("extension", expected, here["extensions"])
        other = [name for name, version in expected.items() if here["extensions"].get(name, version) != version]
        self.tally.note(other, "Another version of the extension is installed here, which is no difference")
        if "large_objects" in self._manifest:
            self.tally.check("large_objects", "", self._manifest["large_objects"], here["large_objects"])

    def _sequences(self, expected: Mapping[str, Any], found: Mapping[str, Any]) -> None:
        """Sequences stand outside snapshots: pg_dump may have read a later value than we, never an earlier one."""
        self.tally.presence("sequence", expected, found)
        for name in sorted(set(expected) & set(found)):
            before, now = expected[name], found[name]
            places = [2 * one["last_value"] + one["is_called"] * _sign(one) for one in (before, now)]
            behind = not before["cycles"] and (places[1] - places[0]) * _sign(before) < 0
            told = [f"{one['last_value']}{'' if one['is_called'] else ', not called'}" for one in (before, now)]
            self.tally.check("sequence_value", name, told[0], told[1] if behind else told[0])

    def _indexes(self, expected: Mapping[str, Any], found: Mapping[str, Any]) -> None:
        self.tally.presence("index", expected, found)
        for name in sorted(set(expected) & set(found)):
            self.tally.check("index_valid", name, expected[name]["valid"], found[name]["valid"])
        self._definitions("index_definition", expected, found)

    def _constraints(self, expected: Mapping[str, Any], found: Mapping[str, Any]) -> None:
        self.tally.presence("constraint", expected, found)
        self._definitions("constraint_definition", expected, found)

    def _definitions(self, kind: str, expected: Mapping[str, Any], found: Mapping[str, Any]) -> None:
        """Another major version may write the same definition in other words: then it is told, and no difference."""
        differing = []
        for name in sorted(set(expected) & set(found)):
            before, now = expected[name]["definition"], found[name]["definition"]
            same = _alike(before, now)
            if same or self._same_major:
                self.tally.check(kind, name, before, before if same else now)
            else:
                differing.append(name)
        self.tally.note(differing, f"This version of PostgreSQL writes another {kind.replace('_', ' ')}")

    def _batches(self, names: Collection[str]) -> list[list[Table]]:
        """Those that are here, in the order of their names within batches of small ones."""
        here = [self._found[name] for name in sorted(names) if name in self._held.tables]
        return list(batches(here))

    def _answer(self, done: str, batch: list[Table], sql: str) -> list[tuple[Any, ...]]:
        self._guard.check()
        rows = self._session.rows(sql)
        if batch[0].size > LOGGED:
            self._guard.log(f"{batch[0].name} {done}.")
        return rows


def _alike(one: str, other: str) -> bool:
    """Of many definitions the manifest holds digests."""
    return one == other or facts.digest_of(one) == facts.digest_of(other)


def _sign(sequence: Mapping[str, Any]) -> int:
    return 1 if sequence["increment"] > 0 else -1
