"""A websocket to one relay, over a connection to an address that was checked.

`websockets` speaks the protocol, without its own input and output: so there is no proxy, no redirect, no compression
that could unpack to anything, and nothing waits longer than its deadline.
"""

import logging
import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Event as Flag
from typing import Any

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus, ProtocolError, WebSocketException
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import WebSocketURI, parse_uri

from jobs.egress import resolve
from jobs.errors import BackupError
from jobs.line import Line

CONNECT_S = 10.0
MOST_BYTES = 1 << 20  # of one message: relays take events up to some 100 KB
_BLOCK = 1 << 16
_quiet = logging.getLogger("websockets.relay")
_quiet.setLevel(logging.CRITICAL)


class Wire:
    """The way to one relay, one connection at a time. `check` raises when the job must stop.

    Every call raises BackupError: unreachable, timeout, egress_refused, tls, relay_refused, relay_lies, stopped. The
    messages name no address: whoever shows one knows which relay it is.
    """

    def __init__(self, url: str, settings: Mapping[str, Any], check: Callable[[], None]) -> None:
        self.url = url
        self._settings, self._check = settings, check
        self._uri: WebSocketURI = parse_uri(url)
        self._stopped = Flag()
        self._line = Line(self._stopped)
        self._socket: Any = None
        self._protocol: ClientProtocol | None = None
        self._messages: deque[str] = deque()
        self._pieces: list[bytes] = []

    @property
    def is_open(self) -> bool:
        return self._socket is not None

    def open(self, timeout_s: float) -> None:
        """Connects, speaks TLS where the URL says so, and shakes hands, all within `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        self._require_going_on()
        addresses = resolve(self._uri.host, self._uri.port, self._settings)
        try:
            made = self._line.connect(addresses, min(CONNECT_S, timeout_s))
            self._socket = made
            if self._uri.secure:
                made.settimeout(_left(deadline))
                self._socket = ssl.create_default_context().wrap_socket(made, server_hostname=self._uri.host)
            self._shake_hands(deadline)
        except (OSError, WebSocketException) as error:
            raise self._broken(error) from error

    def send(self, text: str, timeout_s: float) -> None:
        assert self._protocol is not None
        self._protocol.send_text(text.encode())
        try:
            self._flush(time.monotonic() + timeout_s)
        except OSError as error:
            raise self._broken(error) from error

    def receive(self, deadline: float) -> str:
        """The next message, by `time.monotonic()`'s `deadline`."""
        while not self._messages:
            self._check()
            try:
                self._pull(deadline)
            except (OSError, WebSocketException) as error:
                raise self._broken(error) from error
        return self._messages.popleft()

    def stop(self) -> None:
        """Ends what is in flight, from any thread, and all that would follow."""
        self._stopped.set()
        self._line.cut()

    def close(self) -> None:
        """At once: a relay need not answer for that."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.close()
        self._line.let_go()
        self._socket = self._protocol = None
        self._messages.clear()
        self._pieces.clear()

    def _shake_hands(self, deadline: float) -> None:
        protocol = self._protocol = ClientProtocol(self._uri, max_size=MOST_BYTES, logger=_quiet)
        request = protocol.connect()
        request.headers["User-Agent"] = "Backupsite"
        protocol.send_request(request)
        self._flush(deadline)
        while protocol.state is State.CONNECTING and protocol.handshake_exc is None:
            self._pull(deadline)
        fault = protocol.handshake_exc
        if fault is not None:
            raise fault if isinstance(fault, WebSocketException) else ProtocolError(type(fault).__name__)

    def _pull(self, deadline: float) -> None:
        """What has come, as messages. Raises OSError (TimeoutError too) and WebSocketException."""
        assert self._protocol is not None
        self._socket.settimeout(_left(deadline))
        block = self._socket.recv(_BLOCK)
        if block:
            self._protocol.receive_data(block)
        else:
            self._protocol.receive_eof()
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._take(event)
        fault = self._protocol.parser_exc
        if fault is not None and not isinstance(fault, EOFError):
            raise fault if isinstance(fault, WebSocketException) else ProtocolError(type(fault).__name__)
        if not block or self._protocol.state is State.CLOSING:
            if self._messages:
                return  # they were whole
            raise ConnectionResetError("closed")
        self._flush(deadline)

    def _take(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            self._pieces.append(bytes(frame.data))
            if frame.fin:
                text = b"".join(self._pieces)
                self._pieces.clear()
                self._messages.append(text.decode("utf-8", "replace"))  # what is no Unicode fits no id

    def _flush(self, deadline: float) -> None:
        assert self._protocol is not None
        for data in self._protocol.data_to_send():
            if data:
                self._socket.settimeout(_left(deadline))
                self._socket.sendall(data)

    def _broken(self, error: Exception) -> BackupError:
        self.close()
        self._require_going_on()
        return _told(error)

    def _require_going_on(self) -> None:
        self._check()
        if self._stopped.is_set():
            raise BackupError("The run was stopped.", code="stopped")


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _told(error: Exception) -> BackupError:
    if isinstance(error, TimeoutError):
        return BackupError("It did not answer in time.", code="timeout")
    if isinstance(error, ssl.SSLCertVerificationError):
        return BackupError(
            f"Its TLS certificate is not trusted ({error.verify_message.rstrip('.')}).", code="tls", permanent=True
        )
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        return BackupError(
            f"It answered {status} instead of a websocket.", code="relay_refused", permanent=status < 500
        )
    if isinstance(error, WebSocketException):
        return BackupError(f"It broke the websocket protocol ({type(error).__name__}).", code="relay_lies")
    return BackupError("The connection failed or was closed.", code="unreachable")
