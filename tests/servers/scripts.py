"""What a service of records can do wrong: for `server.script`, one entry a request."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from tests.servers.records import Handler

Script = Callable[[Handler], bool]


def as_always(handler: Handler) -> bool:
    return False


def status(
    number: int, *, body: Any = None, type: str = "application/json", headers: Mapping[str, str] | None = None
) -> Script:

    def answer(handler: Handler) -> bool:
        if isinstance(body, bytes):
            handler.send_body(body, status=number, type=type, headers=headers)
        else:
            handler.send_json(body, number, headers)
        return True

    return answer


def body(
    content: bytes,
    *,
    type: str = "application/json",
    length: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Script:
    """With `length` more than there is, the connection is closed behind it."""

    def answer(handler: Handler) -> bool:
        handler.send_body(content, type=type, length=length, headers=headers)
        handler.close_connection = length is not None
        return True

    return answer


def chunks(*parts: bytes, type: str = "application/json", end: bool = True) -> Script:
    """Without `end` the last chunk is missing, and the connection is closed."""

    def answer(handler: Handler) -> bool:
        handler.send_chunks(list(parts), type=type, end=end)
        handler.close_connection = True
        return True

    return answer


def unbounded(content: bytes, *, type: str = "application/json") -> Script:
    """As HTTP/1.0 did it: neither a length nor chunks, the end is that of the connection."""

    def answer(handler: Handler) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Type", type)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(content)
        handler.close_connection = True
        return True

    return answer


def hang(handler: Handler) -> bool:
    """No answer until the service ends."""
    handler.service.released.wait(60)
    handler.close_connection = True
    return True


def hang_after(content: bytes) -> Script:
    """Announces more than it sends, and keeps the connection."""

    def answer(handler: Handler) -> bool:
        handler.send_body(content, length=len(content) + 1000)
        return hang(handler)

    return answer


def slow(pieces: list[bytes], pause_s: float) -> Script:
    """A body in pieces with pauses between them."""

    def answer(handler: Handler) -> bool:
        handler.send_body(b"", length=sum(len(piece) for piece in pieces))
        for piece in pieces:
            handler.wfile.write(piece)
            time.sleep(pause_s)
        return True

    return answer


def drop(handler: Handler) -> bool:
    """Closes the connection without a word."""
    handler.close_connection = True
    return True
