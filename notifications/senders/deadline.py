"""An end to everything that one attempt does on the network, however slowly the other side drips."""

import socket
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from jobs.errors import BackupError


class Deadline:
    """After `seconds` every watched connection is cut; whoever reads or writes there gets an error at once."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.passed = False
        self._ends = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._handles: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            for handle in self._handles:
                handle.close()
            self._handles.clear()

    def left(self) -> float:
        """Seconds for one step. Raises BackupError(code="timeout") when there are none."""
        left = self._ends - time.monotonic()
        if self.passed or left <= 0:
            raise self.error()
        return left

    def watch(self, connection: socket.socket) -> socket.socket:
        """A second handle on the same connection: it works also when TLS has taken the first one over."""
        with self._lock:
            self._handles.append(connection.dup())
        return connection

    def error(self) -> BackupError:
        return BackupError(
            f"There was no end to it within {self.seconds:.0f} seconds.",
            code="timeout",
            hint="Does something listen there, and may this host reach it?",
        )

    def _cut(self) -> None:
        self.passed = True
        with self._lock:
            for handle in self._handles:
                with suppress(OSError):
                    handle.shutdown(socket.SHUT_RDWR)
