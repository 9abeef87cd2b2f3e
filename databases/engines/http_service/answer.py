"""One answer of a service: its head, and its body as it comes."""

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from math import ceil

import urllib3
from urllib3.exceptions import HTTPError

from databases.engines.http_service.faults import Refused, excerpt, incomplete, retry_after, translate
from jobs.errors import BackupError

BLOCK = 1 << 18
_LONGEST_REFUSAL = 4096
_JSON_LINES = frozenset({"ndjson", "x-ndjson", "jsonl", "x-jsonl", "jsonlines", "x-jsonlines", "json-lines"})


class Answer:
    """`took_s` is how long its head took, in whole seconds rounded up: what it tells is at least as young."""

    def __init__(
        self,
        response: urllib3.BaseHTTPResponse,
        url: str,
        what: str,
        timeout_s: int,
        require_going_on: Callable[[], None],
        began: float,
    ) -> None:
        self.url, self.what = url, what
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self.took_s = ceil(time.monotonic() - began)
        self.received = 0  # bytes of the body so far
        self._response = response
        self._timeout_s = timeout_s
        self._require_going_on = require_going_on
        self._ended = False

    @property
    def links(self) -> list[str]:
        """Each Link header."""
        return list(self._response.headers.getlist("Link"))

    @property
    def media_type(self) -> str:
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def is_json(self) -> bool:
        return self.media_type == "application/json" or self.media_type.endswith("+json")

    @property
    def is_json_lines(self) -> bool:
        return self.media_type.partition("/")[2] in _JSON_LINES

    @property
    def length(self) -> int | None:
        """Bytes of the body as the service announces them."""
        return self._response.length_remaining if self.received == 0 else None

    @property
    def end_is_told(self) -> bool:
        """Whether HTTP itself tells a whole body from one that was cut: by its length, or by a last chunk."""
        chunked = "chunked" in self.headers.get("Transfer-Encoding", "").lower()
        return chunked or "Content-Length" in self.headers

    def require_plain(self) -> None:
        """Raises BackupError(code="not_json") for a body that is packed: no packing was asked for."""
        coding = self.headers.get("Content-Encoding", "identity").strip().lower()
        if coding not in ("", "identity"):
            raise BackupError(
                f"{self.what}: the body is packed ({coding[:20]}), which was not asked for.",
                code="not_json",
                permanent=True,
                hint="Have the service heed Accept-Encoding: identity.",
            )

    def read(self) -> bytes:
        """What has come, empty at the end. Raises BackupError: incomplete_body, unreachable, timeout, stopped."""
        if self._ended:
            return b""
        self._require_going_on()
        try:
            block = self._response.read1(BLOCK)
        except (HTTPError, OSError) as error:
            self._require_going_on()
            raise translate(error, self.what, timeout_s=self._timeout_s) from error
        if not block:
            self._require_going_on()  # a stop ends a body without a length like its service does
            if self._response.length_remaining:
                raise incomplete(f"{self.what}: the connection ended in the middle of the answer.")
            self._ended = True
        self.received += len(block)
        return block

    def beginning(self) -> bytes:
        """Of the body of a refusal, whatever could be read of it."""
        found = b""
        with suppress(BackupError):
            while len(found) < _LONGEST_REFUSAL and (block := self.read()):
                found += block
        return found[:_LONGEST_REFUSAL]

    def drain(self) -> None:
        """Reads a short body to its end, so that the connection can be used again."""
        while self.received < _LONGEST_REFUSAL and self.read():
            pass

    def close(self) -> bool:
        """Whether the connection can be used again: when the body was read to its end."""
        if not self._ended:
            self._response.close()
        self._response.release_conn()
        return self._ended


def server_of(answer: Answer | None) -> str:
    """What the service calls itself."""
    name = answer.headers.get("Server", "") if answer else ""
    return "".join(character for character in name if character.isprintable())[:100].strip() or "HTTP"


def refusal(answer: Answer, secrets: Iterable[str]) -> Refused:
    said = excerpt(answer.beginning(), secrets) if answer.is_json or answer.media_type == "text/plain" else ""
    return Refused(
        f"{answer.what}: the service answered {answer.status}{f': {said}' if said else '.'}",
        status=answer.status,
        retry_after_s=retry_after(answer.headers),
    )
