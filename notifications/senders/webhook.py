"""A POST signed as Standard Webhooks says (https://www.standardwebhooks.com)."""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Iterable, Mapping
from typing import Any

from jobs.errors import BackupError
from notifications.message import Message
from notifications.senders import http
from notifications.senders.deadline import Deadline

PREFIX = "whsec_"
MOST_BYTES = 256 << 10


def make_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def secret_fault(secret: str) -> str:
    """Why a secret that was given is none; empty when it is. The text repeats nothing of it."""
    try:
        size = len(_key(secret))
    except BackupError as error:
        return error.message
    return "" if 24 <= size <= 64 else "The secret must be 24 to 64 bytes in base64, after whsec_."


def send(message: Message, *, secrets: Mapping[str, Any], deadline: Deadline, egress: Mapping[str, Any]) -> None:
    body = body_of(message)
    at = int(time.time())
    signed_with = [secret for name in ("secret", "old_secret") if (secret := secrets.get(name))]
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message.id,
        "webhook-timestamp": str(at),
        "webhook-signature": signatures(message.id, at, body, signed_with),
    }
    http.ask("POST", str(secrets["url"]), deadline=deadline, settings=egress, body=body, headers=headers)


def body_of(message: Message) -> bytes:
    """JSON of at most 256 KiB: of very long events, fewer are carried."""
    document = message.body
    events = document["data"]["events"]
    while len(body := json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()) > MOST_BYTES and events:
        events = events[: len(events) // 2]
        document = {**document, "data": {**document["data"], "events": events}}
    return body


def signatures(message_id: str, at: int, body: bytes, secrets: Iterable[str]) -> str:
    """One for each secret: while a secret is changed, receivers with the old and with the new one agree."""
    signed = f"{message_id}.{at}.".encode() + body
    return " ".join(
        "v1," + base64.b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest()).decode() for secret in secrets
    )


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BackupError(
            "The webhook's secret is not base64 after whsec_.", code="invalid_setting", permanent=True
        ) from error
