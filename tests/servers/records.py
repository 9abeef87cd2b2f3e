"""A microservice with collections of records, on loopback: `python -m tests.servers.records` runs one by itself.

    GET  /list/NAME                        a JSON list of all records
    GET  /lines/NAME                       NDJSON, in chunks
    GET  /page/NAME?page=1&size=100        {"data": {"items": [...]}, "total": n}; a page behind the last is empty
    GET  /cursor/NAME?cursor=...&size=100  {"items": [...], "meta": {"next": "..." or null}}
    GET  /link/NAME?page=1&size=100        a list, and Link: <...>; rel="next"
    POST /cursor/NAME                      the same with the parameters in a JSON object
    POST /in/NAME                          a list of records, added or replaced by their `id`

`?since=` (RFC 3339) leaves out what was changed before. Bearer or basic authentication where a token or a pair is set.
`server.script` holds what the next requests get instead: see scripts.py.
"""

import argparse
import json
import threading
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

Record = dict[str, Any]


@dataclass
class Asked:
    """One request as it came. Names of headers are in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass
class RecordsServer:
    """A running service; everything may be changed while it runs."""

    url: str
    collections: dict[str, dict[str, Record]] = field(default_factory=dict)
    token: str = field(default="", repr=False)
    basic: tuple[str, str] | None = field(default=None, repr=False)
    page_size: int = 100
    most_a_page: int = 1000
    date: Callable[[], str] | None = None
    asked: list[Asked] = field(default_factory=list)
    script: "deque[Callable[[Handler], bool]]" = field(default_factory=deque)
    keys: dict[str, bytes] = field(default_factory=dict)  # Idempotency-Key -> body
    released: threading.Event = field(default_factory=threading.Event)

    def fill(self, name: str, records: list[Record]) -> None:
        self.collections[name] = {str(record["id"]): record for record in records}

    def records(self, name: str) -> list[Record]:
        return list(self.collections.get(name, {}).values())


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "Records/1.0"
    sys_version = ""
    service: RecordsServer

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def send_json(self, value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self.send_body(json.dumps(value).encode(), status=status, headers=headers)

    def send_body(
        self,
        body: bytes,
        *,
        status: int = 200,
        type: str = "application/json",
        length: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`length` is what is announced."""
        self.send_response(status)
        self.send_header("Content-Type", type)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def send_chunks(self, chunks: list[bytes], *, type: str = "application/x-ndjson", end: bool = True) -> None:
        self.send_response(200)
        self.send_header("Content-Type", type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in chunks:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        if end:
            self.wfile.write(b"0\r\n\r\n")

    def date_time_string(self, timestamp: float | None = None) -> str:
        return self.service.date() if self.service.date else super().date_time_string(timestamp)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.service.asked.append(Asked(self.command, parts.path, query, headers, body))
        try:
            if self.service.script and self.service.script.popleft()(self):
                return
        except IndexError:
            pass
        if not self._is_known():
            self.send_json({"detail": "who are you?"}, 401, {"WWW-Authenticate": "Bearer"})
            return
        style, _, name = parts.path.lstrip("/").partition("/")
        if self.command == "POST" and style == "in":
            self._take(unquote(name), body)
            return
        if self.command == "POST":
            query = {key: str(value) for key, value in json.loads(body or b"{}").items()}
        give = getattr(self, f"_give_{style}", None)
        if give is None or unquote(name) not in self.service.collections:
            self.send_json({"detail": "no such collection"}, 404)
            return
        since = query.get("since", "")
        give([r for r in self.service.records(unquote(name)) if str(r.get("updated_at", "")) >= since], query)

    def _is_known(self) -> bool:
        said = self.headers.get("Authorization", "")
        if self.service.token:
            return said == f"Bearer {self.service.token}"
        if self.service.basic:
            return said == "Basic " + b64encode(":".join(self.service.basic).encode()).decode()
        return True

    def _give_list(self, records: list[Record], query: dict[str, str]) -> None:
        self.send_json(records)

    def _give_lines(self, records: list[Record], query: dict[str, str]) -> None:
        lines = [json.dumps(record).encode() + b"\n" for record in records]
        self.send_chunks([b"".join(lines[at : at + 100]) for at in range(0, len(lines), 100)])

    def _give_page(self, records: list[Record], query: dict[str, str]) -> None:
        size = self._size(query)
        at = (int(query.get("page", 1)) - 1) * size
        self.send_json({"total": len(records), "data": {"items": records[at : at + size], "page": "x"}})

    def _give_cursor(self, records: list[Record], query: dict[str, str]) -> None:
        size = self._size(query)
        at = int(query.get("cursor", "c0").removeprefix("c"))
        following = f"c{at + size}" if at + size < len(records) else None
        self.send_json({"items": records[at : at + size], "meta": {"next": following}})

    def _give_link(self, records: list[Record], query: dict[str, str]) -> None:
        size, page = self._size(query), int(query.get("page", 1))
        target = urlsplit(self.path).path + f"?page={page + 1}&size={size}"
        links = {"Link": f'</first>; rel="first", <{target}>; rel="next"'} if page * size < len(records) else {}
        self.send_json(records[(page - 1) * size : page * size], headers={"X-Total-Count": str(len(records)), **links})

    def _size(self, query: dict[str, str]) -> int:
        return min(int(query.get("size", self.service.page_size)), self.service.most_a_page)

    def _take(self, name: str, body: bytes) -> None:
        key = self.headers.get("Idempotency-Key", "")
        if not key or key not in self.service.keys:
            for record in json.loads(body):
                self.service.collections.setdefault(name, {})[str(record["id"])] = record
        self.service.keys[key] = body
        self.send_json({"taken": True}, 201)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what some tests are about."""


@contextmanager
def start_records(port: int = 0, *, tls: SSLContext | None = None) -> Iterator[RecordsServer]:
    """On 127.0.0.1, in threads of this process, empty."""
    handler = type("BoundHandler", (Handler,), {})
    server = _Server(("127.0.0.1", port), handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    service = RecordsServer(f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}")
    handler.service = service  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        service.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def sample(service: RecordsServer, count: int = 500) -> None:
    """Users and orders, the same each time."""
    service.fill("users", [user(number) for number in range(1, count + 1)])
    service.fill("orders", [order(number) for number in range(1, 2 * count + 1)])


def user(number: int, *, updated_at: str = "2026-01-01T00:00:00Z") -> Record:
    return {
        "id": number,
        "name": f"Ada {number} Grüße \U0001f600",
        "email": f"user{number}@example.org",
        "balance": number / 8,
        "tags": ["a", {"b": None}],
        "updated_at": updated_at,
    }


def order(number: int, *, updated_at: str = "2026-01-01T00:00:00Z") -> Record:
    return {"id": number, "user": number % 500, "lines": [{"sku": f"x{number}", "n": 1}], "updated_at": updated_at}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--count", type=int, default=500, help="users; there are twice as many orders")
    parser.add_argument("--token", default="", help="ask for this bearer token")
    given = parser.parse_args()
    with start_records(given.port) as service:
        sample(service, given.count)
        service.token = given.token
        print(service.url, flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
