"""One request to an address an operator gave: checked where it goes, no redirect, little of the answer read."""

import socket
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NewConnectionError, SSLError
from urllib3.exceptions import TimeoutError as Urllib3Timeout

from jobs.egress import resolve
from jobs.errors import BackupError
from notifications.senders.deadline import Deadline

CONNECT_S = 10.0
READ_S = 15.0
ANSWER_BYTES = 300  # of an answer that refuses, for the operator
REFUSED = frozenset({400, 413, 414, 415, 422})  # this message, not any message


def place_of(url: str) -> str:
    """Scheme and host of an address whose path may be a secret."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}/…"


def url_fault(url: str) -> str:
    """Why this is no address to send to; empty when it is."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # raises for one that is none
    except ValueError:
        return "This is not an address."
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "Give an address that begins with https:// or http://."
    if parts.username or parts.password:
        return "Names and passwords in an address are not sent."
    if not url.isascii() or any(character <= " " for character in url):
        return "Spaces and other than ASCII characters must be percent-encoded."
    return ""


def ask(
    method: str,
    url: str,
    *,
    deadline: Deadline,
    settings: Mapping[str, Any],
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> int:
    """The status, one of 2xx. Raises BackupError: egress_refused, unreachable, tls, timeout, redirected, refused."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    addresses = [one.sockaddr for one in resolve(host, port, settings)]
    pool = _pool(parts.scheme, host, port, addresses, deadline)
    target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    try:
        response = pool.urlopen(
            method,
            target,
            body=body,
            headers={"User-Agent": "Backupsite", **(headers or {})},
            retries=False,
            redirect=False,
            preload_content=False,
            timeout=urllib3.Timeout(connect=CONNECT_S, read=READ_S),
        )
        try:
            _require_taken(response, place_of(url))
        finally:
            response.close()
    except (HTTPError, OSError) as error:
        raise deadline.error() if deadline.passed else _translated(error, place_of(url)) from error
    finally:
        pool.close()
    return response.status


def _require_taken(response: urllib3.BaseHTTPResponse, place: str) -> None:
    if 200 <= response.status < 300:
        return
    if 300 <= response.status < 400:
        raise BackupError(
            f"{place} answered {response.status}, a redirect, which is not followed.",
            code="redirected",
            hint="Give the address that the redirect leads to.",
        )
    said = response.read(ANSWER_BYTES).decode(errors="replace")
    said = " ".join("".join(character if character.isprintable() else " " for character in said).split())
    raise BackupError(
        f"{place} answered {response.status}{': ' + said if said else ''}.",
        code="refused",
        permanent=response.status in REFUSED,
        hint="Is the address still the right one?" if response.status in (401, 403, 404, 410) else "",
    )


def _pool(
    scheme: str, host: str, port: int, addresses: list[tuple[Any, ...]], deadline: Deadline
) -> urllib3.HTTPConnectionPool:
    """urllib3 speaks HTTP and TLS by the host's name; the socket under it goes to an address that was checked."""

    def connect(connection: HTTPConnection) -> socket.socket:
        problem: OSError = OSError("no address")
        for address in addresses:
            try:
                made = socket.create_connection(address[:2], timeout=min(CONNECT_S, deadline.left()))
                return deadline.watch(made)
            except OSError as error:
                problem = error
        raise NewConnectionError(connection, type(problem).__name__) from problem

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return connect(self)

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return connect(self)

    if scheme == "https":
        pool = urllib3.HTTPSConnectionPool(host, port, ssl_context=ssl.create_default_context())
        pool.ConnectionCls = Secure
        return pool
    plain = urllib3.HTTPConnectionPool(host, port)
    plain.ConnectionCls = Plain
    return plain


def _translated(error: Exception, place: str) -> BackupError:
    if isinstance(error, SSLError):
        return BackupError(
            f"{place} has no certificate that this host trusts.",
            code="tls",
            hint="Renew it, or add its authority to the host's trusted ones.",
        )
    if isinstance(error, Urllib3Timeout | TimeoutError) and not isinstance(error, NewConnectionError):
        return BackupError(f"{place} took the request and did not answer.", code="timeout")
    return BackupError(
        f"{place} cannot be reached ({type(error).__name__}).",
        code="unreachable",
        hint="Does something listen there, and may this host reach it?",
    )
