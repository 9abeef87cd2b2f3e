"""Fetches one file from an address that a user chose: public addresses only, whole or not at all, within limits.

The file is spooled and checked before anybody sees a byte of it. Only what lies below the operator's own addresses
(`own`) may be in private networks, and only it is asked for with the headers that belong there: who writes a record may
name any address, that of somebody else's records too.
"""

import hashlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Any, Protocol
from urllib.parse import unquote, urljoin

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, LocationParseError, NewConnectionError, ReadTimeoutError, SSLError
from urllib3.util import parse_url

from jobs.egress import require_public, resolve
from jobs.errors import BackupError
from jobs.line import Line

CONNECT_S = 10.0
MOST_REDIRECTS = 3
WHOLE = 4  # times the timeout of one answer: what a file may take in all
PORTS = {"http": 80, "https": 443}
_IN_MEMORY = 1 << 20
_BLOCK = 1 << 16
_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "Backupsite"}

Origin = tuple[str, str, int]


class Guard(Protocol):
    """Of the running job; see databases.engines.base."""

    def check(self) -> None: ...
    def on_abort(self, callback: Any) -> Any: ...


@dataclass(frozen=True)
class Fetched:
    """A whole file, at its beginning."""

    file: SpooledTemporaryFile[bytes]
    size: int
    sha256: str
    type: str

    def blocks(self) -> Iterator[bytes]:
        while block := self.file.read(_BLOCK):
            yield block


class Fetcher:
    """`own` are addresses of the operator, with the headers that are sent for what lies below them."""

    def __init__(
        self,
        settings: Mapping[str, Any],
        guard: Guard,
        *,
        timeout_s: float,
        max_bytes: int,
        own: Mapping[str, Mapping[str, str]],
    ) -> None:
        self._settings, self._guard = settings, guard
        self._timeout_s, self._max_bytes = timeout_s, max_bytes
        self._own = [(origin_of(url), _folder(url), headers) for url, headers in own.items()]

    @contextmanager
    def fetch(self, url: str) -> Iterator[Fetched]:
        """Raises BackupError: egress_refused, unreachable, timeout, tls, not_found, refused, too_large, redirected,
        incomplete_body."""
        deadline = time.monotonic() + WHOLE * self._timeout_s
        with SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
            for _ in range(MOST_REDIRECTS + 1):
                found = self._one(url, file, deadline)
                if isinstance(found, Fetched):
                    yield found
                    return
                url = found
            raise BackupError(f"More than {MOST_REDIRECTS} redirects.", code="redirected", permanent=True)

    def _one(self, url: str, file: SpooledTemporaryFile[bytes], deadline: float) -> Fetched | str:
        """The file, or where to look instead."""
        self._guard.check()
        stopped = threading.Event()
        line = Line(stopped)

        def stop() -> None:
            stopped.set()
            line.cut()

        # A server that sends a byte now and then never runs into the timeout of its socket.
        timer = threading.Timer(max(0.0, deadline - time.monotonic()), stop)
        timer.daemon = True
        take_back = self._guard.on_abort(stop)
        timer.start()
        try:
            with self._asked(url, line) as response:
                found = self._taken(url, response, file)
            if stopped.is_set():  # what was cut looks like what ended
                raise OSError
            return found
        except (HTTPError, OSError, BackupError) as error:
            self._guard.check()
            if stopped.is_set():
                raise BackupError("It did not come in time.", code="timeout") from error
            raise error if isinstance(error, BackupError) else _told(error) from error
        finally:
            timer.cancel()
            take_back()
            line.let_go()

    @contextmanager
    def _asked(self, url: str, line: Line) -> Iterator[urllib3.BaseHTTPResponse]:
        origin = origin_of(url)
        scheme, host, port = origin
        if scheme not in PORTS or not host:
            raise BackupError("Its address is no URL of HTTP.", code="refused", permanent=True)
        addresses = resolve(host, port, self._settings)
        own = self._headers_for(origin, url)
        if own is None:
            require_public(host, addresses)
        wait = min(CONNECT_S, self._timeout_s)
        with _pool(origin, lambda: line.connect(addresses, wait)) as pool:
            response = pool.urlopen(
                "GET",
                parse_url(url).request_uri,
                headers={**_HEADERS, **(own or {})},
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
                timeout=urllib3.Timeout(connect=wait, read=self._timeout_s),
            )
            with closing(response):
                yield response

    def _headers_for(self, origin: Origin, url: str) -> Mapping[str, str] | None:
        """Of the operator's own address that this one lies below, None where it lies below none."""
        path = parse_url(url).path or "/"
        if ".." in unquote(unquote(path)) or "\\" in unquote(path):  # servers differ in where that leads
            return None
        return next((headers for own, folder, headers in self._own if own == origin and path.startswith(folder)), None)

    def _taken(self, url: str, response: urllib3.BaseHTTPResponse, file: SpooledTemporaryFile[bytes]) -> Fetched | str:
        location = response.headers.get("Location", "")
        if response.status in (301, 302, 303, 307, 308) and location:
            return urljoin(url, location)
        if response.status != 200:
            code = "not_found" if response.status in (404, 410) else "refused"
            raise BackupError(f"Its server answered {response.status}.", code=code, permanent=True)
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise BackupError("Its server packs it, which was not asked for.", code="refused", permanent=True)
        sha256, size = hashlib.sha256(), 0
        while block := response.read1(_BLOCK):
            self._guard.check()
            size += len(block)
            if size > self._max_bytes:
                raise BackupError(f"It is larger than {self._max_bytes} bytes.", code="too_large", permanent=True)
            sha256.update(block)
            file.write(block)
        if response.length_remaining:
            raise BackupError("The connection ended in the middle of it.", code="incomplete_body")
        file.seek(0)
        media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return Fetched(file, size, sha256.hexdigest(), media_type)


def origin_of(url: str) -> Origin:
    """Scheme, host and port; of what is no URL nothing that could be asked."""
    try:
        found = parse_url(url)
    except LocationParseError:
        return "", "", 0
    scheme = found.scheme or ""
    return scheme, (found.hostname or "").strip("[]"), found.port or PORTS.get(scheme, 0)


def _folder(url: str) -> str:
    """The path that everything below an address begins with."""
    try:
        return (parse_url(url).path or "").rstrip("/") + "/"
    except LocationParseError:
        return "/"


@contextmanager
def _pool(origin: Origin, connect: Callable[[], socket.socket]) -> Iterator[urllib3.HTTPConnectionPool]:
    """urllib3 speaks HTTP and TLS by the host's name; the socket under it goes to an address that was checked."""

    def connected(connection: HTTPConnection) -> socket.socket:
        try:
            return connect()
        except OSError as error:
            raise NewConnectionError(connection, type(error).__name__) from error

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return connected(self)

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return connected(self)

    scheme, host, port = origin
    pool: urllib3.HTTPConnectionPool
    if scheme == "https":
        pool = urllib3.HTTPSConnectionPool(host, port, maxsize=1, ssl_context=ssl.create_default_context())
        pool.ConnectionCls = Secure
    else:
        pool = urllib3.HTTPConnectionPool(host, port, maxsize=1)
        pool.ConnectionCls = Plain
    with closing(pool):
        yield pool


def _told(error: Exception) -> BackupError:
    if isinstance(error, SSLError):
        return BackupError("The TLS certificate of its server is not trusted.", code="tls", permanent=True)
    if isinstance(error, ReadTimeoutError):
        return BackupError("It did not come in time.", code="timeout")
    return BackupError("The connection to its server failed.", code="unreachable")
