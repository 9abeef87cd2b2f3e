"""A service that takes what a restore posts, counts it and forgets it: a drill's scratch target, on loopback."""

import secrets
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from databases.engines.http_service.cutting import Cutter
from databases.engines.http_service.proof import Sum
from databases.engines.http_service.restore import LARGEST_BATCH
from databases.engines.http_service.schema import checkers
from databases.engines.http_service.urls import PLACEHOLDER
from jobs.errors import BackupError

HOST = "127.0.0.1"
LONGEST_BODY = 8 * LARGEST_BATCH  # one record may have 16 million characters
KEYS = 16  # of batches that may come again
WAIT_S = 60


@dataclass
class Taken:
    """Of one collection. `faulty` records break its schema; `first` says how the first of them does."""

    sum: Sum = field(default_factory=Sum)
    faulty: int = 0
    first: str = ""


class Sink:
    """`url` is where to post to; whoever does not know its path is refused."""

    def __init__(self, port: int, schemas: Mapping[str, Any]) -> None:
        self.path = f"/{secrets.token_urlsafe(24)}/"
        self.url = f"http://{HOST}:{port}{self.path}{PLACEHOLDER}"
        self.schemas = schemas
        self.taken: dict[str, Taken] = {}
        self._checkers = checkers(schemas)
        self._keys: deque[str] = deque(maxlen=KEYS)
        self._lock = threading.Lock()

    def take(self, collection: str, key: str, body: bytes) -> None:
        """A batch once, however often it comes. Raises BackupError for what is no list of JSON."""
        with self._lock:
            if key in self._keys:
                return
            records = list(_records_in(body))
            taken, fault_of = self.taken.setdefault(collection, Taken()), self._checkers.get(collection)
            for record in records:
                taken.sum.add(record)
                if fault_of and (fault := fault_of(record)):
                    taken.faulty += 1
                    taken.first = taken.first or f"record {taken.sum.records}, {fault}"
            self._keys.append(key)

    def count(self, collection: str) -> int:
        return self.taken.get(collection, Taken()).sum.records


def _records_in(body: bytes) -> Iterator[bytes]:
    """Each exactly as it was posted."""
    blocks = iter((body,))
    cutter = Cutter(lambda: next(blocks, b""), "a batch")
    cutter.take("[")
    if cutter.peek() == "]":
        return
    while True:
        yield cutter.value().encode()
        if cutter.take(",]") == "]":
            return


@contextmanager
def running(schemas: Mapping[str, Any]) -> Iterator[Sink]:
    """Leaving it ends the service."""
    with _Server((HOST, 0), _Handler) as server:
        server.sink = sink = Sink(server.server_port, schemas)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="http-sink", daemon=True)
        thread.start()
        try:
            yield sink
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    sink: Sink

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A restore that was stopped leaves in the middle of a request; it tells its failures itself."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = WAIT_S
    server: _Server

    def do_GET(self) -> None:
        """Whether a collection is empty."""
        if (collection := self._collection()) is not None:
            self._answer(200, b"[{}]" if self.server.sink.count(collection) else b"[]")

    def do_POST(self) -> None:
        collection = self._collection()
        if collection is None:
            return
        length = int(self.headers.get("Content-Length") or 0)
        if length > LONGEST_BODY:
            self.close_connection = True
            self._answer(413)
            return
        try:
            self.server.sink.take(collection, self.headers.get("Idempotency-Key", ""), self.rfile.read(length))
        except (BackupError, ValueError) as error:
            self._answer(400, f'{{"detail":"{type(error).__name__}"}}'.encode())
            return
        self._answer(200, b"{}")

    def _collection(self) -> str | None:
        path = self.server.sink.path
        if self.path.startswith(path):
            return unquote(self.path.removeprefix(path))
        self.close_connection = True
        self._answer(404)
        return None

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """The restore logs what it posts."""
