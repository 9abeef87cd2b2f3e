"""Reads of a bucket over plain HTTP/1.1, signed with botocore's signer: GET of objects and of listings.

A request through boto3's client costs some 3 ms of the interpreter, which threads share: 300 small objects a second,
however many connections there are. This costs a quarter of that, and every socket is at hand, so that a stop need not
wait for a store that says nothing. boto3 still finds the endpoint, the region, the credentials and the CA.
"""

import re
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlsplit
from urllib.request import getproxies, proxy_bypass
from xml.etree import ElementTree as ET

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError

from databases.engines.s3_bucket.client import CONNECT_S, READ_S, Session
from databases.engines.s3_bucket.faults import TLS_FAULTS, connection_lost, refused, shown, translate
from jobs.errors import BackupError

if TYPE_CHECKING:
    from botocore.credentials import Credentials

_LONGEST_ERROR = 64 << 10
_PROBE = "probe"
LOST = (OSError, HTTPException)
Connections = HTTPConnection | HTTPSConnection


class Wire:
    """The way to one bucket. Each thread has a connection of its own; `stop` ends all of them at once."""

    def __init__(self, session: Session, bucket: str) -> None:
        self.stopped = threading.Event()
        url, self._region, self._service = _address(session, bucket)
        self._parts = urlsplit(url)
        self._url = url
        proxy = None if proxy_bypass(self._parts.hostname or "") else getproxies().get(self._parts.scheme)
        self._proxy = urlsplit(proxy if "://" in proxy else f"http://{proxy}") if proxy else None
        self._credentials: Credentials = session.credentials
        self._context = session.tls_context() if self._parts.scheme == "https" else None
        self._mine = threading.local()
        self._open: set[Connections] = set()
        self._lock = threading.Lock()

    @contextmanager
    def get(self, key: str, *, query: str = "", headers: Mapping[str, str] | None = None) -> Iterator[HTTPResponse]:
        """The answer to one GET, status 200 or 206, its body unread. `key` empty: of the bucket.

        Raises BackupError (see client.py) for a refusal or when stopped, and one of LOST when the connection fails. A
        body that was not read to its end costs the connection.
        """
        what = shown(key) if key else "the listing"
        if self.stopped.is_set():
            raise stopped()
        connection = self._connection()
        try:
            response = self._ask(connection, key, query, headers or {})
            with response:
                if response.status not in (200, 206):
                    raise _refusal(response, what)
                yield response
                if not response.isclosed():
                    self._drop(connection)
        except ssl.SSLCertVerificationError as error:
            self._drop(connection)
            raise TLS_FAULTS["certificate"].error(what) from error
        except BaseException as error:
            self._drop(connection)
            if self.stopped.is_set() and isinstance(error, (*LOST, ValueError)):
                raise stopped() from error
            raise

    def stop(self) -> None:
        """Ends every request, from any thread. Harmless when there is none."""
        self.stopped.set()
        with self._lock:
            found = list(self._open)
        for connection in found:
            if (open_socket := connection.sock) is not None:
                with suppress(OSError):
                    # Not SSLSocket's own method: that takes the TLS state away under a thread that reads.
                    socket.socket.shutdown(open_socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """After the threads that used it have ended."""
        with self._lock:
            for connection in self._open:
                connection.close()
            self._open.clear()

    def _ask(self, connection: Connections, key: str, query: str, headers: Mapping[str, str]) -> HTTPResponse:
        # What is not unreserved is encoded, so the signature's path and the one sent are the same; dots stay, for no
        # client resolves them here.
        url = self._url + quote(key, safe="/-_.~") + (f"?{query}" if query else "")
        request = AWSRequest("GET", url, headers=dict(headers))
        try:
            credentials = self._credentials.get_frozen_credentials()  # a role's are renewed here
        except BotoCoreError as error:
            raise translate(error, "the host's role") from error
        S3SigV4Auth(credentials, self._service, self._region).add_auth(request)
        parts = urlsplit(url)
        target = url if self._proxy and self._context is None else parts.path + (f"?{query}" if query else "")
        fresh = connection.sock is None
        try:
            connection.request("GET", target, headers=dict(request.headers.items()))
            return connection.getresponse()
        except LOST:
            if fresh or self.stopped.is_set():
                raise
        # A connection that was kept open may have been closed by the store meanwhile: that is no failure.
        connection.close()
        connection.request("GET", target, headers=dict(request.headers.items()))
        return connection.getresponse()

    def _connection(self) -> Connections:
        found: Connections | None = getattr(self._mine, "connection", None)
        if found is None:
            found = self._mine.connection = self._new()
            with self._lock:
                self._open.add(found)
        return found

    def _drop(self, connection: Connections) -> None:
        """The next request of this thread opens it anew."""
        connection.close()

    def _new(self) -> Connections:
        host, port = self._parts.hostname or "", self._parts.port
        first = (self._proxy.hostname or "", self._proxy.port) if self._proxy else (host, port)
        connection: Connections
        if self._context is None:
            connection = _Plain(*first, timeout=READ_S)
        else:
            connection = _Secure(*first, timeout=READ_S, context=self._context)
            if self._proxy:
                connection.set_tunnel(host, port)
        return connection


class _Plain(HTTPConnection):
    """Connects within CONNECT_S, reads within READ_S."""

    def connect(self) -> None:
        self.timeout = CONNECT_S
        super().connect()
        self.sock.settimeout(READ_S)


class _Secure(HTTPSConnection):
    def connect(self) -> None:
        self.timeout = CONNECT_S
        super().connect()
        self.sock.settimeout(READ_S)


def stopped() -> BackupError:
    return BackupError("The backup was stopped.", code="stopped")


def lost(error: Exception, what: str) -> BackupError:
    """One of LOST as an expected failure."""
    if isinstance(error, ssl.SSLError) and "WRONG_VERSION_NUMBER" in str(error):
        return TLS_FAULTS["plain"].error(what)
    return connection_lost(error, what)


def _address(session: Session, bucket: str) -> tuple[str, str, str]:
    """The bucket's URL with its slash at the end, the region and the service to sign for, as boto3 has found them."""
    url = session.client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": _PROBE}, ExpiresIn=60)
    parts = urlsplit(url)
    scope = parse_qs(parts.query).get("X-Amz-Credential", [""])[0].split("/")
    if len(scope) < 5 or not parts.path.endswith(f"/{_PROBE}"):
        raise BackupError(
            "This kind of bucket cannot be read.",
            code="unsupported",
            permanent=True,
            hint="Use a general purpose bucket, or an access point of one region.",
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.removesuffix(_PROBE)}", scope[-3], scope[-2]


def _refusal(response: HTTPResponse, what: str) -> BackupError:
    text = response.read(_LONGEST_ERROR)
    code, said = str(response.status), ""
    with suppress(ET.ParseError):
        root = ET.fromstring(text)
        names = {re.sub(r"\{.*\}", "", child.tag): child.text or "" for child in root}
        code, said = names.get("Code") or code, names.get("Message", "")
    return refused(code, response.status, said, what)
