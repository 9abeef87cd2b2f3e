"""Requests to one origin, over connections to addresses that were checked.

urllib3's pool speaks HTTP and TLS by the URL's own host name; only the socket under it is ours. It knows no proxy, and
follows no redirect unless this module does.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NewConnectionError

from databases.engines.http_service.answer import Answer, refusal
from databases.engines.http_service.credentials import Credentials
from databases.engines.http_service.faults import translate
from databases.engines.http_service.options import HttpOptions
from databases.engines.http_service.urls import joined, origin_of, shown, target_of
from jobs.egress import Reached, resolve
from jobs.errors import BackupError
from jobs.line import Line

TOOL_VERSION = f"urllib3 {version('urllib3')}"
CONNECT_S = 10.0
MOST_REDIRECTS = 3
PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0)  # between attempts, see patience.py
_FOLLOWED = {"GET": (301, 302, 303, 307, 308), "POST": (307, 308)}
_REDIRECTS = frozenset({301, 302, 303, 305, 307, 308})


@dataclass(frozen=True)
class Request:
    """`url` is of the wire's origin. `body` is JSON."""

    url: str
    method: str = "GET"
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Wire:
    """The way to one origin; at most one connection at a time. `check` raises when the job must stop.

    One that is not `patient` is for somebody who waits: no request is tried again.
    """

    pauses_s: tuple[float, ...] = PAUSES_S

    def __init__(
        self,
        url: str,
        options: HttpOptions,
        credentials: Credentials,
        settings: Mapping[str, Any],
        check: Callable[[], None],
        *,
        patient: bool = True,
    ) -> None:
        self.stopped = threading.Event()
        self.credentials = credentials
        self.check = check
        if not patient:
            self.pauses_s = ()
        self._options = options
        self._settings = settings
        self.origin = origin_of(url)
        self._addresses: tuple[Reached, ...] = ()
        self._line = Line(self.stopped)
        self._pool = self._new_pool()

    @contextmanager
    def ask(self, request: Request) -> Iterator[Answer]:
        """The answer, its body unread, status 200 (or 201, 202, 204 to a POST).

        Raises BackupError: Refused for another status, redirected, egress_refused, unreachable, timeout, tls. A body
        that was not read to its end costs the connection.
        """
        what = f"{request.method} {shown(request.url)}"
        for _ in range(MOST_REDIRECTS + 1):
            answer = self._send(request, what)
            try:
                if answer.status not in _REDIRECTS:
                    if answer.status != 200 and not (request.method == "POST" and answer.status in (201, 202, 204)):
                        raise refusal(answer, self.credentials.secrets)
                    yield answer
                    return
                request = self._followed(request, answer, what)
            finally:
                if not answer.close():
                    self._line.let_go()
        raise BackupError(f"{what}: more than {MOST_REDIRECTS} redirects.", code="redirected", permanent=True)

    def resolve(self) -> None:
        """Once for all requests of this wire. Raises BackupError: unreachable, egress_refused."""
        if not self._addresses:
            self._addresses = resolve(self.origin[1], self.origin[2], self._settings)

    def require_going_on(self) -> None:
        """Raises what the job's guard raises, or BackupError(code="stopped")."""
        self.check()
        if self.stopped.is_set():
            raise BackupError("The run was stopped.", code="stopped")

    def stop(self) -> None:
        """Ends what is in flight, from any thread, and all that would follow."""
        self.stopped.set()
        self._line.cut()

    def close(self) -> None:
        self._line.let_go()
        self._pool.close()

    def _send(self, request: Request, what: str) -> Answer:
        self.require_going_on()
        if origin_of(request.url) != self.origin:
            raise _elsewhere(request.url, what)
        self.resolve()
        headers = {**self.credentials.headers, **request.headers}
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        began = time.monotonic()
        try:
            response = self._pool.urlopen(
                request.method,
                target_of(request.url),
                body=request.body,
                headers=headers,
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
                timeout=urllib3.Timeout(connect=CONNECT_S, read=self._options.timeout_s),
            )
        except (HTTPError, OSError) as error:
            self.require_going_on()
            raise translate(error, what, timeout_s=self._options.timeout_s) from error
        return Answer(response, request.url, what, self._options.timeout_s, self.require_going_on, began)

    def _followed(self, request: Request, answer: Answer, what: str) -> Request:
        """The request again, where the answer says, with the same method. `_send` keeps it within the origin."""
        location = answer.headers.get("Location", "")
        if answer.status not in _FOLLOWED[request.method] or not location:
            raise BackupError(
                f"{what}: the service answered {answer.status}, which cannot be followed.",
                code="redirected",
                permanent=True,
            )
        return Request(joined(request.url, location), request.method, request.body, request.headers)

    def _connect(self, connection: HTTPConnection) -> socket.socket:
        try:
            return self._line.connect(self._addresses, min(CONNECT_S, self._options.timeout_s))
        except OSError as error:
            raise NewConnectionError(connection, type(error).__name__) from error

    def _new_pool(self) -> urllib3.HTTPConnectionPool:
        wire = self

        class Plain(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                return wire._connect(self)

        class Secure(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                return wire._connect(self)

        scheme, host, port = self.origin
        pool: urllib3.HTTPConnectionPool
        if scheme == "https":
            context = _trusting(self._options.ca)
            pool = urllib3.HTTPSConnectionPool(host, port, maxsize=1, block=True, ssl_context=context)
            pool.ConnectionCls = Secure
        else:
            pool = urllib3.HTTPConnectionPool(host, port, maxsize=1, block=True)
            pool.ConnectionCls = Plain
        return pool


def _trusting(ca: str) -> ssl.SSLContext:
    """Only these authorities, or those of the host when none are given."""
    try:
        return ssl.create_default_context(cadata=ca or None)
    except ssl.SSLError as error:
        raise BackupError(
            "The certificates of the authorities to trust (ca) cannot be read.",
            code="tls",
            permanent=True,
            hint="Paste the PEM text of the authority's certificate.",
        ) from error


def _elsewhere(url: str, what: str) -> BackupError:
    return BackupError(
        f"{what}: the service points to {shown(url)}, another origin.",
        code="redirected",
        permanent=True,
        hint="Requests, and the credentials in them, stay with the URL's scheme, host and port. "
        "Set the URL to where the records are.",
    )
