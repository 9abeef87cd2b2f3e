"""A TCP proxy on loopback that stops passing bytes on when it is told to: a server that is slow, hangs, or is away."""

import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

BLOCK = 65536
POLL_MS = 50


def _never(request: bytes) -> bool:
    return False


class Gate:
    """Passes everything until a limit; what is held is passed on after `open`.

    `down` and `up` are how many bytes a connection may carry from and to the server before it is held; `hold_if(block)`
    holds a connection whose client sends such a block (the answer to it, that is).
    """

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.down: int | None = None
        self.up: int | None = None
        self.hold_if: Callable[[bytes], bool] = _never
        self.held = threading.Event()  # something waits
        self._opened = threading.Event()
        self._opened.set()
        self._closing = False
        self._threads: list[threading.Thread] = []
        self._spawn(self._accept)

    def shut(
        self, *, down: int | None = None, up: int | None = None, hold_if: Callable[[bytes], bool] = _never
    ) -> None:
        """Holds every connection that reaches one of the limits."""
        self.down, self.up, self.hold_if = down, up, hold_if
        self.held.clear()
        self._opened.clear()

    def open(self) -> None:
        self.down = self.up = None
        self.hold_if = _never
        self._opened.set()

    def close(self) -> None:
        self._closing = True
        self.open()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _spawn(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                self._spawn(self._pair, client)

    def _pair(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._server, timeout=10)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        with client, server:
            _Connection(self, client, server).run()

    @property
    def closing(self) -> bool:
        return self._closing

    def wait_open(self) -> bool:
        """One short wait; True when connections may go on."""
        self.held.set()
        return self._opened.wait(POLL_MS / 1000)

    @property
    def is_open(self) -> bool:
        return self._opened.is_set()


class _Connection:
    """One client and its server. When either hangs up, both are closed, also while bytes are held."""

    def __init__(self, gate: Gate, client: socket.socket, server: socket.socket) -> None:
        self._gate = gate
        self._client, self._server = client, server
        self._carried = {client: 0, server: 0}  # by who sent it
        self._hold = False

    def run(self) -> None:
        with suppress(OSError):
            while not self._gate.closing:
                for sender in self._readable():
                    block = sender.recv(BLOCK)
                    if not block or not self._may_pass(sender, block):
                        return
                    other = self._server if sender is self._client else self._client
                    other.sendall(block)

    def _readable(self) -> list[socket.socket]:
        return select.select([self._client, self._server], [], [], POLL_MS / 1000)[0]

    def _may_pass(self, sender: socket.socket, block: bytes) -> bool:
        """Waits while the gate is shut for this block; False when one side has hung up meanwhile."""
        self._carried[sender] += len(block)
        if sender is self._client:
            self._hold = self._gate.hold_if(block)
        while not self._gate.is_open and self._is_held(sender):
            if self._gate.wait_open():
                break
            if self._hung_up():
                return False
        return True

    def _is_held(self, sender: socket.socket) -> bool:
        limit = self._gate.up if sender is self._client else self._gate.down
        return self._hold or (limit is not None and self._carried[sender] > limit)

    def _hung_up(self) -> bool:
        poll = select.poll()
        for side in (self._client, self._server):
            poll.register(side, select.POLLRDHUP)
        return bool(poll.poll(0))


@contextmanager
def gate(host: str, port: int) -> Iterator[Gate]:
    """A proxy in front of `host:port`, open at first."""
    proxy = Gate(host, port)
    try:
        yield proxy
    finally:
        proxy.close()
