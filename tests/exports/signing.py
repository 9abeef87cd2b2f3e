"""Users who sign their requests as NIP-98 says."""

import hashlib
import itertools
import json
import time
from base64 import b64encode
from typing import Any

from rest_framework.test import APIClient

from tests.exports.events import Author

ORIGIN = "https://b.example.com"
_numbers = itertools.count()


def as_token(event: Any) -> str:
    """What follows `Nostr` in the header."""
    text = event if isinstance(event, str) else json.dumps(event)
    return b64encode(text.encode()).decode()


class User(Author):
    """Signs requests, and sends them to the site in this process."""

    def __init__(self, name: str = "ada", *, origin: str = ORIGIN, **sent: Any) -> None:
        super().__init__(name)
        self.origin = origin
        self.client = APIClient(**sent)

    def event(self, method: str, target: str, body: bytes = b"", **changes: Any) -> dict[str, Any]:
        """The tag `nonce` keeps two equal requests in the same second apart."""
        tags = [["u", self.origin + target], ["method", method], ["nonce", str(next(_numbers))]]
        tags += [["payload", hashlib.sha256(body).hexdigest()]] if body else []
        return self.signs(**{"kind": 27235, "created_at": int(time.time()), "tags": tags, **changes})

    def header(self, method: str, target: str, body: bytes = b"", **changes: Any) -> str:
        return f"Nostr {as_token(self.event(method, target, body, **changes))}"

    def send(self, method: str, target: str, header: str, body: bytes = b"", **more: Any) -> Any:
        sent: Any = self.client.generic  # takes bytes too
        return sent(method, target, body, content_type="application/json", HTTP_AUTHORIZATION=header, **more)

    def call(self, method: str, target: str, body: Any = None, **more: Any) -> Any:
        raw = b"" if body is None else json.dumps(body).encode()
        return self.send(method, target, self.header(method, target, raw), raw, **more)

    def get(self, target: str, **more: Any) -> Any:
        return self.call("GET", target, **more)

    def post(self, target: str, body: Any = None, **more: Any) -> Any:
        return self.call("POST", target, body, **more)

    def delete(self, target: str, **more: Any) -> Any:
        return self.call("DELETE", target, **more)


def code_of(answer: Any) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == "application/problem+json", answer.content
    return answer.status_code, answer.json()["code"]
