"""The sockets of a boto3 client, so that a stop need not wait for a store that says nothing."""

import socket
import threading
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSHTTPConnection, AWSHTTPConnectionPool, AWSHTTPSConnection, AWSHTTPSConnectionPool

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


class Sockets:
    """Every connection that `client` opens from now on. `cut` ends what is in flight, from any thread; `forever` also
    what would be opened later.

    botocore offers no way to end a request in flight. It does keep the classes of its connection pools in one place,
    and the tests hold that this place is still there.
    """

    def __init__(self, client: "S3Client") -> None:
        self._lock = threading.Lock()
        self._open: weakref.WeakSet[Any] = weakref.WeakSet()
        self._is_cut = False
        client._endpoint.http_session._pool_classes_by_scheme.update(  # type: ignore[attr-defined]
            http=_pool(AWSHTTPConnectionPool, AWSHTTPConnection, self),
            https=_pool(AWSHTTPSConnectionPool, AWSHTTPSConnection, self),
        )

    def cut(self, *, forever: bool) -> None:
        with self._lock:
            self._is_cut = self._is_cut or forever
            found = list(self._open)
        for connection in found:
            _shut(connection)

    def opened(self, connection: Any) -> None:
        with self._lock:
            self._open.add(connection)
            late = self._is_cut
        if late:
            _shut(connection)


def _pool(pool: Any, connection: Any, sockets: Sockets) -> Any:
    class Watched(connection):  # type: ignore[misc]
        def connect(self) -> None:
            super().connect()
            sockets.opened(self)

    return type("WatchedPool", (pool,), {"ConnectionCls": Watched})


def _shut(connection: Any) -> None:
    open_socket = connection.sock
    if open_socket is not None:
        with suppress(OSError):
            # Not SSLSocket's own method: that takes the TLS state away under a thread that reads.
            socket.socket.shutdown(open_socket, socket.SHUT_RDWR)
