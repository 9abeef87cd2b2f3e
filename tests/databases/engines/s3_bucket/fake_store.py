"""A store in this process, for what a real one cannot be made to do at the right moment: lists and reads only.

It checks no signature. `before_read(key, start)` is called in front of each read; `cut` and `refuse` spoil answers.
"""

import hashlib
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.servers.s3 import S3Server

BUCKET = "fake"
MODIFIED = "2026-11-21T02:00:00.000Z"


class FakeStore:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.order: Callable[[list[str]], list[str]] = sorted
        self.before_read: Callable[[str, int], None] = lambda key, start: None
        self.cut: Callable[[str, int], int | None] = lambda key, start: None  # after how many bytes
        self.refuse: dict[str, tuple[int, str, str]] = {}  # key -> status, code, message
        self.encodes = True  # a store that does not know encoding-type lists keys as they are
        self.reads: list[tuple[str, str]] = []  # key, range
        self.sockets = 0
        self.lock = threading.Lock()

    def etag(self, key: str) -> str:
        return _md5(self.objects[key])


@lru_cache(maxsize=64)
def _md5(body: bytes) -> str:
    return hashlib.md5(body).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    store: FakeStore

    def setup(self) -> None:
        super().setup()
        with self.store.lock:
            self.store.sockets += 1

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        bucket, _, key = parts.path.removeprefix("/").partition("/")
        assert bucket == BUCKET
        if key:
            self._object(unquote(key))
        else:
            self._list({name: values[0] for name, values in parse_qs(parts.query).items()})

    def _list(self, query: dict[str, str]) -> None:
        keys = [key for key in self.store.order(list(self.store.objects)) if key.startswith(query.get("prefix", ""))]
        start, most = int(query.get("continuation-token", "0")), int(query.get("max-keys", "1000"))
        page = keys[start : start + min(most, 1000)]
        rest = start + len(page) < len(keys)
        written = quote if self.store.encodes else escape
        entries = "".join(
            f"<Contents><Key>{written(key)}</Key><LastModified>{MODIFIED}</LastModified>"
            f"<ETag>&quot;{self.store.etag(key)}&quot;</ETag><Size>{len(self.store.objects[key])}</Size></Contents>"
            for key in page
        )
        encoding = "<EncodingType>url</EncodingType>" if self.store.encodes else ""
        token = f"<NextContinuationToken>{start + len(page)}</NextContinuationToken>" if rest else ""
        self._answer(
            200,
            f'<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{entries}{token}'
            f"{encoding}<IsTruncated>{str(rest).lower()}</IsTruncated></ListBucketResult>".encode(),
        )

    def _object(self, key: str) -> None:
        wanted = self.headers.get("Range", "")
        first = int(wanted.removeprefix("bytes=").split("-")[0]) if wanted else 0
        self.store.reads.append((key, wanted))
        self.store.before_read(key, first)
        if key in self.store.refuse:
            return self._refuse(*self.store.refuse[key])
        if key not in self.store.objects:
            return self._refuse(404, "NoSuchKey", "It is gone.")
        body = self.store.objects[key]
        if (match := self.headers.get("If-Match")) and match.strip('"') != self.store.etag(key):
            return self._refuse(412, "PreconditionFailed", "It is another one.")
        headers = {"ETag": f'"{self.store.etag(key)}"', "Last-Modified": "Sat, 21 Nov 2026 02:00:00 GMT"}
        if wanted:
            if first >= len(body):
                return self._refuse(416, "InvalidRange", "There is no such range.")
            last = min(int(wanted.split("-")[1]), len(body) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
            body = body[first : last + 1]
        return self._answer(206 if wanted else 200, body, headers, cut=self.store.cut(key, first))

    def _refuse(self, status: int, code: str, message: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode())

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None, cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is what the tests are about."""


@contextmanager
def fake_store(tls: ssl.SSLContext | None = None) -> Iterator[tuple[FakeStore, S3Server]]:
    store = FakeStore()
    handler = type("Handler", (_Handler,), {"store": store, "timeout": 20})
    with _Server(("127.0.0.1", 0), handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield store, S3Server(f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}", "key", "secret")
        finally:
            server.shutdown()
            thread.join()
