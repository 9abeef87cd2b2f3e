"""What may be spent on reading beside a dump, and what a read is going to cost."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from databases.engines.postgres.catalog import Table

SHARE = 0.05  # of the dump's own time
FLOOR_S = 0.2  # what a dump of any length may spend
STATEMENT_S = 0.0005


class Budget:
    """A twentieth of the time the dump has taken so far (0.2 s for short ones), less what was spent of it."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._spent = 0.0

    def left(self) -> float:
        return max(FLOOR_S, SHARE * (time.monotonic() - self._began)) - self._spent

    def close(self) -> None:
        self._spent = float("inf")

    @contextmanager
    def spending(self) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self._spent += time.monotonic() - began


class Rate:
    """Bytes a second: hopeful until enough was read to tell, since the statement timeout holds the limit."""

    def __init__(self, first: int) -> None:
        self._first = first
        self._bytes = 0
        self._seconds = 0.0

    def cost(self, batch: Sequence[Table]) -> float:
        rate = self._bytes / self._seconds if self._bytes > 4 << 20 else self._first
        return sum(table.size for table in batch) / rate + STATEMENT_S * len(batch)

    @contextmanager
    def measured(self, batch: Sequence[Table]) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self._seconds += time.monotonic() - began
            self._bytes += sum(table.size for table in batch)
