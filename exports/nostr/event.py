"""Nostr events after NIP-01: their shape, their id, their signature. Plain Python: no Django.

Shared by the source `nostr`, by putting an export back, and by signing in (NIP-98): `parse_event` says that a JSON
value is an event, `verify_event` that its id is that of its content and that its author signed it (BIP-340).
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from coincurve import PublicKeyXOnly

from jobs.errors import BackupError

LATEST = (1 << 53) - 1  # of created_at: what every JSON reader keeps exactly
HIGHEST_KIND = 65535
_HEX64, _HEX128 = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{128}")
# NIP-01: these seven, and every other character as it is.
_ESCAPES = {0x08: "\\b", 0x09: "\\t", 0x0A: "\\n", 0x0C: "\\f", 0x0D: "\\r", 0x22: '\\"', 0x5C: "\\\\"}
_OTHER_CONTROLS = {code: f"\\u{code:04x}" for code in range(0x20) if code not in _ESCAPES}
_RARE = re.compile(r"[\x00-\x07\x0b\x0e-\x1f]")


@dataclass(frozen=True, slots=True)
class Event:
    """One event, its fields of the right types; whether it is true is what `verify_event` says."""

    id: str
    pubkey: str
    created_at: int
    kind: int
    tags: tuple[tuple[str, ...], ...]
    content: str
    sig: str

    def tag_values(self, name: str) -> list[str]:
        """The second item of every tag of that name, empty where there is none."""
        return [tag[1] if len(tag) > 1 else "" for tag in self.tags if tag and tag[0] == name]

    def as_json(self) -> dict[str, Any]:
        """The seven members that NIP-01 knows, and nothing else."""
        return {
            "id": self.id,
            "pubkey": self.pubkey,
            "created_at": self.created_at,
            "kind": self.kind,
            "tags": [list(tag) for tag in self.tags],
            "content": self.content,
            "sig": self.sig,
        }


def parse_event(value: Any) -> Event:
    """Members that NIP-01 does not know are left out: nobody has signed them.

    Raises BackupError(code="invalid_event"); the message names the first member that is wrong, never its value.
    """
    if not isinstance(value, dict):
        raise _invalid("An event is a JSON object.")
    for name, pattern in (("id", _HEX64), ("pubkey", _HEX64), ("sig", _HEX128)):
        if not isinstance(value.get(name), str) or not pattern.fullmatch(value[name]):
            raise _invalid(f"{name} is not made of {64 if pattern is _HEX64 else 128} lower-case hex digits.")
    for name, most in (("created_at", LATEST), ("kind", HIGHEST_KIND)):
        if type(value.get(name)) is not int or not 0 <= value[name] <= most:
            raise _invalid(f"{name} is no whole number from 0 to {most}.")
    if not isinstance(value.get("content"), str):
        raise _invalid("content is no text.")
    return Event(
        value["id"],
        value["pubkey"],
        value["created_at"],
        value["kind"],
        _tags(value.get("tags")),
        value["content"],
        value["sig"],
    )


def verify_event(event: Event) -> None:
    """Raises BackupError: wrong_event_id where the id is not that of the content, wrong_signature."""
    if event.id not in event_ids(event):
        raise BackupError("The id is not that of the event's content.", code="wrong_event_id", permanent=True)
    if not is_signed(pubkey=event.pubkey, message=bytes.fromhex(event.id), signature=bytes.fromhex(event.sig)):
        raise BackupError("The signature is not the author's.", code="wrong_signature", permanent=True)


def is_signed(*, pubkey: str, message: bytes, signature: bytes) -> bool:
    """BIP-340. `pubkey` is 64 lower-case hex digits; one that is no point of the curve has signed nothing."""
    if len(signature) != 64:
        return False
    try:
        return PublicKeyXOnly(bytes.fromhex(pubkey)).verify(signature, message)
    except ValueError:
        return False


def event_id(event: Event) -> str:
    """As NIP-01 says it. Raises BackupError(code="invalid_event") for text that is no Unicode."""
    return _digest(serialised(event))


def event_ids(event: Event) -> set[str]:
    """The ids that the event may have: one, but for a few events two.

    NIP-01 leaves control characters other than the seven it names as they are. JavaScript, and most relays with it,
    writes them as `\\u0001`, and ids of such events are made that way in the wild. Taking both confuses no two events:
    text with a bare control character can only be the one form, and text without any is the same in both.
    """
    text = serialised(event)
    return {_digest(text), _digest(text.translate(_OTHER_CONTROLS))} if _RARE.search(text) else {_digest(text)}


def serialised(event: Event) -> str:
    """What the id is the SHA-256 of: [0, pubkey, created_at, kind, tags, content] without any blank."""
    tags = ",".join(f"[{_texts(tag)}]" for tag in event.tags)
    return f'[0,"{event.pubkey}",{event.created_at},{event.kind},[{tags}],{_text(event.content)}]'


def line_of(event: Event) -> bytes:
    """One line of NDJSON, with its end."""
    return json.dumps(event.as_json(), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _tags(value: Any) -> tuple[tuple[str, ...], ...]:
    if not isinstance(value, list) or not all(isinstance(tag, list) for tag in value):
        raise _invalid("tags is no list of lists.")
    if not all(isinstance(item, str) for tag in value for item in tag):
        raise _invalid("A tag holds something that is no text.")
    return tuple(tuple(tag) for tag in value)


def _texts(items: Iterable[str]) -> str:
    return ",".join(_text(item) for item in items)


def _text(text: str) -> str:
    return f'"{text.translate(_ESCAPES)}"'


def _digest(text: str) -> str:
    try:
        return hashlib.sha256(text.encode()).hexdigest()
    except UnicodeEncodeError as error:  # half of a surrogate pair
        raise _invalid("A text of the event is no Unicode.") from error


def _invalid(message: str) -> BackupError:
    return BackupError(message, code="invalid_event", permanent=True)
