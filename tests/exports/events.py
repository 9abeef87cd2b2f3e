"""Authors who sign events: the same key for the same name."""

import hashlib
import time
from typing import Any

from coincurve import PrivateKey, PublicKeyXOnly

from exports.nostr.event import event_id, parse_event


class Author:
    """Somebody with a key."""

    def __init__(self, name: str) -> None:
        self._key = PrivateKey(hashlib.sha256(name.encode()).digest())
        self.pubkey = PublicKeyXOnly.from_secret(self._key.secret).format().hex()

    def signs(
        self, content: str = "", *, kind: int = 1, created_at: int | None = None, tags: list[list[str]] | None = None
    ) -> dict[str, Any]:
        """An event as relays send it."""
        event = {
            "id": "0" * 64,
            "pubkey": self.pubkey,
            "created_at": int(time.time()) if created_at is None else created_at,
            "kind": kind,
            "tags": tags or [],
            "content": content,
            "sig": "0" * 128,
        }
        event["id"] = event_id(parse_event(event))
        return self.sealed(event)

    def sealed(self, event: dict[str, Any]) -> dict[str, Any]:
        """With a signature of its id, whatever that is."""
        return {**event, "sig": self._key.sign_schnorr(bytes.fromhex(event["id"])).hex()}
