"""Patience with a service that is busy, or a connection that is lost."""

import time
from collections.abc import Callable, Iterator
from secrets import SystemRandom
from typing import TypeVar

from databases.engines.http_service.faults import Refused
from databases.engines.http_service.wire import Wire
from jobs.errors import BackupError

T = TypeVar("T")

LONGEST_PAUSE_S = 120.0  # a service that asks for more is left until the job's next attempt
AGAIN = frozenset({"busy", "service_error", "unreachable", "timeout", "incomplete_body"})
_SLICE_S = 0.5
_random = SystemRandom()


class Patience:
    """`wait(error)` pauses before one more attempt, or raises the error when that makes no sense any more."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._pauses: Iterator[float] = iter(wire.pauses_s)

    def wait(self, error: BackupError) -> None:
        pause = next(self._pauses, None)
        if error.permanent or error.code not in AGAIN or pause is None:
            raise error
        pause *= _random.uniform(0.5, 1.5)  # many clients do not come back at the same moment
        if isinstance(error, Refused) and error.retry_after_s is not None:
            if error.retry_after_s > LONGEST_PAUSE_S:
                raise error
            pause = max(pause, error.retry_after_s) if error.retry_after_s else pause
        self._sleep(pause)

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._wire.stopped.wait(min(left, _SLICE_S))
            self._wire.require_going_on()


def patiently(wire: Wire, attempt: Callable[[], T]) -> T:
    """Tries again where that may help. Raises BackupError."""
    patience = Patience(wire)
    while True:
        try:
            return attempt()
        except BackupError as error:
            patience.wait(error)
