"""Real servers on the other side of a channel: one that takes mail, one that takes requests, and two that are dead."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """An HTTP server that keeps what it was sent. `answer` decides the status; `hold` makes it hang till the end."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        self.requests: list[Request] = []
        self.answer: Callable[[Request], int] = lambda request: 204
        self.location = ""
        self.text = b""
        self.hold = threading.Event()
        self.ended = threading.Event()


@contextmanager
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def _take(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, self.rfile.read(length))
            made.requests.append(request)
            if made.hold.is_set():
                made.ended.wait(120)
                return
            self.send_response(made.answer(request))
            if made.location:
                self.send_header("Location", made.location)
            self.send_header("Content-Length", str(len(made.text)))
            self.end_headers()
            self.wfile.write(made.text)

        do_POST = do_GET = _take  # noqa: N815  # the names that http.server calls

        def log_message(self, *args: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args: Any) -> None:
            pass

    with Quiet(("127.0.0.1", 0), Handler) as server:
        made = Receiver(server)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield made
        finally:
            made.ended.set()
            server.shutdown()
            thread.join()


@dataclass
class MailServer:
    port: int = 0
    mails: list[tuple[Envelope, EmailMessage]] = field(default_factory=list)
    refuse: str = ""


@contextmanager
def mail_server(*, password: str = "") -> Iterator[MailServer]:
    """Takes mail for anybody; with a password, only from the user `backups` who gives it."""
    made = MailServer()

    class Handler:
        async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802
            if made.refuse:
                return made.refuse
            assert isinstance(envelope.content, bytes)
            made.mails.append((envelope, message_from_bytes(envelope.content, policy=policy.default)))
            return "250 taken"

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (b"backups", password.encode()), handled=False)

    options: dict[str, Any] = (
        {"authenticator": authenticate, "auth_required": True, "auth_require_tls": False} if password else {}
    )
    controller = Controller(Handler(), hostname="127.0.0.1", port=free_port(), **options)
    controller.start()
    made.port = controller.port
    try:
        yield made
    finally:
        controller.stop()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def black_hole(drip: bytes = b"") -> Iterator[int]:
    """Takes connections and never answers, or with `drip` a byte of it every tenth of a second. Yields its port."""
    ended = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def serve() -> None:
        with suppress(OSError):
            while not ended.is_set():
                connection, _ = server.accept()
                held.append(connection)
                threading.Thread(target=feed, args=(connection,), daemon=True).start()

    def feed(connection: socket.socket) -> None:
        with suppress(OSError):
            while drip and not ended.wait(0.1):
                connection.sendall(drip)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield int(server.getsockname()[1])
    finally:
        ended.set()
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)
        for connection in held:
            connection.close()
