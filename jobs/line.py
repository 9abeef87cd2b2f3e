"""One connection to a checked address, with a handle to end it by from any thread."""

import socket
import threading
from collections.abc import Sequence
from contextlib import suppress

from jobs.egress import Reached


class Line:
    """`stopped` is set before `cut`: then no connection is made any more."""

    def __init__(self, stopped: threading.Event) -> None:
        self._stopped = stopped
        self._lock = threading.Lock()
        self._handle: socket.socket | None = None

    def connect(self, addresses: Sequence[Reached], timeout_s: float) -> socket.socket:
        """To the first of the addresses that answers. Raises OSError."""
        failure = OSError("no address")
        for reached in addresses:
            made = socket.socket(reached.family, socket.SOCK_STREAM)
            try:
                made.settimeout(timeout_s)
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._hold(made)
                made.connect(reached.sockaddr)
                if self._stopped.is_set():
                    raise OSError("stopped")
            except OSError as error:
                made.close()
                failure = error
                continue
            return made
        raise failure

    def cut(self) -> None:
        """Wakes whoever waits on the connection, from any thread."""
        with self._lock:
            self._shut()

    def let_go(self) -> None:
        """Ends the connection."""
        with self._lock:
            self._shut()
            self._drop()

    def _hold(self, made: socket.socket) -> None:
        """A second handle: TLS takes the first one over, and `cut` has to work during its handshake too."""
        with self._lock:
            self._drop()
            self._handle = made.dup()
            if self._stopped.is_set():
                raise OSError("stopped")

    def _shut(self) -> None:
        if self._handle is not None:
            with suppress(OSError):
                self._handle.shutdown(socket.SHUT_RDWR)

    def _drop(self) -> None:
        if self._handle is not None:
            self._handle.close()
        self._handle = None
