"""Facts, exact row counts and row hashes inside the dump's snapshot, in step with the dump."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from databases.engines.postgres import facts, hashes
from databases.engines.postgres.budget import Budget, Rate
from databases.engines.postgres.catalog import Table
from databases.engines.postgres.session import Session
from jobs.errors import BackupError

BATCH = 100
SMALL = 256 << 10
COUNT_RATE = 4 << 30  # bytes a second, until measured
HASH_RATE = 256 << 20
RELATION_S = 0.00001  # of reading one kind of fact
SAMPLE_S = 0.02
NO_TIME = "there was no time for it"


class RowCounter:
    """Reads on a thread of its own, small tables first, one statement at a time on one core of the server.

    Rows and facts may each take 5 % of the time the dump has run (0.2 s for short ones), so a dump is never lengthened
    by more, even on a server with a single core. First comes what can be afforded at once: facts, counts,
    and hashes as far as they take no more than half of what is left; then what has to wait, hashes last.
    Tables that did not fit keep None; `facts` name in `not_taken` what else did not.
    """

    def __init__(self, session: Session, tables: Sequence[Table], held: facts.Held, *, rows: bool = True) -> None:
        self._session = session
        self._held = held
        self._tables = sorted((table for table in tables if table.kind == "r" and rows), key=lambda table: table.size)
        self.counts: dict[str, int | None] = {table.name: None for table in self._tables}
        self.facts: dict[str, Any] = {"row_hashes": {}, "not_taken": dict.fromkeys(facts.readers(held), NO_TIME)}
        self._dump_ended = threading.Event()
        self._for_rows, self._for_facts = Budget(), Budget()
        self._fault = ""
        self._read_costs: dict[str, float] = {}
        self._keyless: set[str] = set()  # no sample can be taken of these
        self._slow: set[str] = set()  # all rows were too many of these
        self._counting, self._hashing = Rate(COUNT_RATE), Rate(HASH_RATE)
        self._thread = threading.Thread(target=self._run, name="row-counts", daemon=True)
        self._thread.start()

    def finish(self) -> Mapping[str, int | None]:
        """Call it when the dump has ended: reads what the time still allows and returns all counts."""
        self._dump_ended.set()
        self._thread.join()
        return self.counts

    def abandon(self) -> None:
        """The dump was left: end the running statement, and with it the connection."""
        self._for_rows.close()
        self._for_facts.close()
        self._dump_ended.set()
        if self._thread.is_alive():
            self._session.cut()
            self._thread.join()

    def _run(self) -> None:
        with suppress(BackupError):  # a lost connection leaves None behind; the dump itself tells of the server
            self._session.run(f"{facts.SETTINGS}; SET max_parallel_workers_per_gather = 0; SET lock_timeout = '1s'")
            late_facts = [kind for kind in facts.readers(self._held) if not self._read(kind)]
            late_counts = [batch for batch in batches(self._tables) if not self._count(batch)]
            late_hashes = [batch for batch in batches(self._tables) if not self._hash(batch, share=0.5)]
            for kind in late_facts:
                self._wait_for(partial(self._read, kind))
            for batch in late_counts:
                if not self._wait_for(partial(self._count, batch)):
                    break
            for batch in late_hashes:  # a small sample may fit where all of another table did not
                self._wait_for(partial(self._hash, batch))

    def _wait_for(self, attempt: Callable[[], bool]) -> bool:
        """Tries again while the dump runs and the allowance grows."""
        while not attempt():
            if self._dump_ended.wait(0.05):
                return attempt()
        return True

    def _read(self, kind: str) -> bool:
        """One that took too long is tried again with twice the time, once the dump has run that long."""
        allowance = self._for_facts.left()
        if self._read_costs.get(kind, RELATION_S * len(self._held.relations)) > allowance:
            return False
        found = self._timed(self._for_facts, lambda: facts.readers(self._held)[kind](self._session.rows, self._held))
        if found is None:
            self.facts["not_taken"][kind] = self._fault
            self._read_costs[kind] = 2 * allowance
            return False
        self.facts[kind] = found
        del self.facts["not_taken"][kind]
        return True

    def _count(self, batch: Sequence[Table]) -> bool:
        if self._counting.cost(batch) > self._for_rows.left():
            return False
        parts = (f"SELECT {number}, count(*) FROM ONLY {table.name}" for number, table in enumerate(batch))
        with self._counting.measured(batch):
            found = self._timed(self._for_rows, lambda: self._session.rows(" UNION ALL ".join(parts)))
        for number, count in found or ():  # None: too slow, or locked by another session meanwhile
            self.counts[batch[number].name] = count
        return True

    def _hash(self, batch: Sequence[Table], *, share: float = 1.0) -> bool:
        """All rows where that can be afforded; else a sample, where there is a key to take one by."""
        first = batch[0].name
        whole = first not in self._slow and self._hashing.cost(batch) <= share * self._for_rows.left()
        if not whole and (len(batch) > 1 or first in self._keyless or share * self._for_rows.left() < SAMPLE_S):
            return False
        found = self._timed(self._for_rows, lambda: self._whole(batch) if whole else self._sample(batch[0]))
        self.facts["row_hashes"] |= found or {}
        if found is None and whole:
            self._slow.add(first)
        return bool(found) or (found is None and (len(batch) > 1 or not whole))

    def _whole(self, batch: Sequence[Table]) -> dict[str, Any]:
        tables = hashes.hashed(self._session, [table.name for table in batch])
        parts = [f"SELECT {number}, w.* FROM ({tables[table.name].whole()}) w" for number, table in enumerate(batch)]
        with self._hashing.measured(batch):
            rows = self._session.rows(" UNION ALL ".join(parts))
        return {batch[number].name: hashes.fact(count, total) for number, count, total in rows}

    def _sample(self, table: Table) -> dict[str, Any]:
        chosen = hashes.hashed(self._session, [table.name])[table.name]
        if chosen.key is None:
            self._keyless.add(table.name)
            return {}
        first, last = self._session.rows(chosen.ends())[0]
        starts = hashes.starts_between(first, last) if first is not None else []
        count, total = self._session.rows(chosen.sample(starts))[0]
        return {table.name: hashes.fact(count, total, starts)}

    def _timed(self, budget: Budget, read: Callable[[], Any]) -> Any:
        """What it returns; None, with `_fault`, when it did not end within what is left or could not be read."""
        limit_ms = int(1000 * max(0.05, budget.left()))
        with budget.spending():
            self._session.run(f"SAVEPOINT counting; SET LOCAL statement_timeout = {limit_ms}")
            try:
                return read()
            except BackupError as error:
                self._session.run("ROLLBACK TO SAVEPOINT counting")
                self._fault = error.message.splitlines()[0]
                return None


def batches(tables: Sequence[Table]) -> Iterator[list[Table]]:
    batch: list[Table] = []
    for table in tables:
        if batch and (table.size > SMALL or len(batch) == BATCH):
            yield batch
            batch = []
        batch.append(table)
    if batch:
        yield batch


@contextmanager
def counting(session: Session, tables: Sequence[Table], held: facts.Held, *, rows: bool = True) -> Iterator[RowCounter]:
    """The session has to be in the dump's snapshot and is the counter's own until the context is left."""
    counter = RowCounter(session, tables, held, rows=rows)
    try:
        yield counter
    finally:
        counter.abandon()
