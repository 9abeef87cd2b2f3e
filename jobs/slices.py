"""Much work in slices, so that a round of the sweeper stays short."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Row = TypeVar("Row")


def until(deadline: float, rows: Iterable[Row]) -> Iterator[Row]:
    """Rows until `deadline` (of the monotonic clock), but one at least: however slow the question for them was, each
    round comes further.
    """
    for row in rows:
        yield row
        if time.monotonic() > deadline:
            return
