"""Exact row counts inside the dump's snapshot, in step with the dump."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from databases.engines.postgres.catalog import Table
from databases.engines.postgres.session import Session
from jobs.errors import BackupError

SHARE = 0.05  # of the dump's own time
FLOOR_S = 0.2  # what a dump of any length may spend
BATCH = 100
SMALL = 256 << 10
FIRST_RATE = 4 << 30  # bytes a second until measured: hopeful, since the statement timeout holds the limit
STATEMENT_S = 0.0005


class RowCounter:
    """Counts on a thread of its own, small tables first, one statement at a time on one core of the server.

    All counting together takes at most 5 % of the time the dump has run (0.2 s for short ones), so a dump is never
    lengthened by more, even on a server with a single core. Tables that did not fit keep None.
    """

    def __init__(self, session: Session, tables: Sequence[Table]) -> None:
        self._session = session
        self._tables = sorted((table for table in tables if table.kind == "r"), key=lambda table: table.size)
        self.counts: dict[str, int | None] = {table.name: None for table in self._tables}
        self._dump_ended = threading.Event()
        self._began = time.monotonic()
        self._spent = 0.0
        self._bytes = 0
        self._thread = threading.Thread(target=self._run, name="row-counts", daemon=True)
        self._thread.start()

    def finish(self) -> Mapping[str, int | None]:
        """Call it when the dump has ended: counts what the time still allows and returns all."""
        self._dump_ended.set()
        self._thread.join()
        return self.counts

    def abandon(self) -> None:
        """The dump was left: end the running statement, and with it the connection."""
        self._began = float("inf")  # nothing more can be afforded
        self._dump_ended.set()
        if self._thread.is_alive():
            self._session.cut()
            self._thread.join()

    def _run(self) -> None:
        with suppress(BackupError):  # a lost connection leaves None behind; the dump itself tells of the server
            self._session.run(
                "SET max_parallel_workers_per_gather = 0; SET lock_timeout = '1s'; SET row_security = off"
            )
            for batch in _batches(self._tables):
                if not self._wait_until_affordable(self._cost(batch)):
                    return
                self._count(batch)

    def _allowance(self) -> float:
        return max(FLOOR_S, SHARE * (time.monotonic() - self._began)) - self._spent

    def _cost(self, batch: Sequence[Table]) -> float:
        rate = self._bytes / self._spent if self._bytes > 4 << 20 else FIRST_RATE
        return sum(table.size for table in batch) / rate + STATEMENT_S * len(batch)

    def _wait_until_affordable(self, cost: float) -> bool:
        while cost > self._allowance():
            if self._dump_ended.wait(0.05):
                return cost <= self._allowance()
        return True

    def _count(self, batch: Sequence[Table]) -> None:
        began = time.monotonic()
        limit_ms = int(1000 * max(0.05, self._allowance()))
        self._session.run(f"SAVEPOINT counting; SET LOCAL statement_timeout = {limit_ms}")
        try:
            parts = (f"SELECT {number}, count(*) FROM ONLY {table.name}" for number, table in enumerate(batch))
            for number, count in self._session.rows(" UNION ALL ".join(parts)):
                self.counts[batch[number].name] = count
        except BackupError:  # too slow, or locked by another session meanwhile: these stay uncounted
            self._session.run("ROLLBACK TO SAVEPOINT counting")
        self._spent += time.monotonic() - began
        self._bytes += sum(table.size for table in batch)


def _batches(tables: Sequence[Table]) -> Iterator[list[Table]]:
    batch: list[Table] = []
    for table in tables:
        if batch and (table.size > SMALL or len(batch) == BATCH):
            yield batch
            batch = []
        batch.append(table)
    if batch:
        yield batch


@contextmanager
def counting(session: Session, tables: Sequence[Table]) -> Iterator[RowCounter]:
    """The session has to be in the dump's snapshot and is the counter's own until the context is left."""
    counter = RowCounter(session, tables)
    try:
        yield counter
    finally:
        counter.abandon()
