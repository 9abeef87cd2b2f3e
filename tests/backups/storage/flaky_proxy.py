"""A TCP proxy in front of a real server that loses connections where a test wants it to."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Fault:
    """Cuts a connection whose request holds `request`: after `sent` bytes of it, or (`answered`) of its answer.

    A cut in the answer happens after the server has done what was asked. `times` connections are cut.
    """

    request: bytes
    sent: int | None = None
    answered: int | None = None
    times: int = 1


@dataclass
class FlakyProxy:
    endpoint_url: str
    faults: list[Fault] = field(default_factory=list)
    hits: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def due(self, fault: Fault) -> bool:
        with self._lock:
            fault.times -= 1
            self.hits += fault.times >= 0
            return fault.times >= 0


class _Connection:
    def __init__(self, proxy: FlakyProxy, client: socket.socket, server: socket.socket) -> None:
        self.proxy, self.client, self.server = proxy, client, server
        self.fault: Fault | None = None
        self.sent = self.answered = 0

    def cut(self) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def upstream(self) -> None:
        with suppress(OSError):
            while block := self.client.recv(65536):
                for fault in self.proxy.faults:
                    if fault.request in block:
                        self.fault, self.sent, self.answered = fault, 0, 0
                self.sent += len(block)
                fault_now = self.fault
                if fault_now and fault_now.sent is not None and self.sent > fault_now.sent:
                    if self.proxy.due(fault_now):
                        break
                    self.fault = None
                self.server.sendall(block)
        self.cut()

    def downstream(self) -> None:
        with suppress(OSError):
            while block := self.server.recv(65536):
                self.answered += len(block)
                fault_now = self.fault
                reached = fault_now and fault_now.answered is not None and self.answered > fault_now.answered
                # What a "100 Continue" answers is not the request yet.
                if fault_now and reached and not block.startswith(b"HTTP/1.1 100") and self.proxy.due(fault_now):
                    break
                self.client.sendall(block)
        self.cut()


@contextmanager
def flaky_proxy(endpoint_url: str) -> Iterator[FlakyProxy]:
    target = urlsplit(endpoint_url)
    listener = socket.create_server(("127.0.0.1", 0))
    proxy = FlakyProxy(f"http://127.0.0.1:{listener.getsockname()[1]}")
    open_sockets: list[socket.socket] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection((target.hostname, target.port))
                open_sockets.extend((client, server))
                connection = _Connection(proxy, client, server)
                threading.Thread(target=connection.upstream, daemon=True).start()
                threading.Thread(target=connection.downstream, daemon=True).start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield proxy
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join(5)
        for end in open_sockets:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
