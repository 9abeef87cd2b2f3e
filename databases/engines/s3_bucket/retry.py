"""Patience with a store that is busy, or a connection that is lost."""

from collections.abc import Callable
from typing import TypeVar

from databases.engines.s3_bucket.client import AGAIN, PAUSES_S
from databases.engines.s3_bucket.wire import LOST, Wire, lost
from jobs.errors import BackupError

T = TypeVar("T")


def patiently(wire: Wire, what: str, attempt: Callable[[], T]) -> T:
    """Tries again for half a minute where that may help; a stop ends it at once. Raises BackupError."""
    pauses = iter(PAUSES_S)
    while True:
        try:
            return attempt()
        except (*LOST, BackupError) as error:
            failure = error if isinstance(error, BackupError) else lost(error, what)
            if failure.permanent or failure.code not in AGAIN:
                raise failure from error
            pause = next(pauses, None)
            if pause is None or wire.stopped.wait(pause):
                raise failure from error
