"""Who signed an HTTP request, after NIP-98: a Nostr event in its `Authorization` header. Plain Python: no Django.

`verify_token` does every check but one: that an event is taken once only needs a memory, see
services/remember_event.py.
"""

import hashlib
import json
import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from exports.nostr.event import Event, parse_event, verify_event
from jobs.errors import BackupError

KIND = 27235
MAX_TOKEN = 6144  # base64; a whole header line of 8 KiB is what web servers take
_HOST_OF_TARGET = re.compile(r"^https?://[^/?#]*", re.IGNORECASE)
_MEMBERS = frozenset({"id", "pubkey", "created_at", "kind", "tags", "content", "sig"})


@dataclass(frozen=True)
class SignedRequest:
    """A request as it came. `target` is the raw one of the request line: neither decoded nor joined with a host."""

    method: str
    target: str
    body: bytes


@dataclass(frozen=True)
class Rules:
    """`origins` are the addresses under which this site is reached, without a slash at the end."""

    origins: Sequence[str]
    window_s: int
    payload_required: bool = True


def verify_token(token: str, request: SignedRequest, rules: Rules, *, now: float) -> Event:
    """The event that signs this very request. `token` is what follows `Nostr` in the header.

    Raises BackupError whose code names the check that failed: nip98_header, nip98_event, nip98_kind, nip98_tags,
    nip98_time, nip98_url, nip98_method, nip98_payload, nip98_id, nip98_signature.
    """
    event = _event_of(_json_of(token))
    if event.kind != KIND:
        _refuse("kind", f"The event is of kind {event.kind}, not {KIND}.")
    _check_tags(event)
    if abs(now - event.created_at) > rules.window_s:
        _refuse("time", f"created_at is more than {rules.window_s} s away from this site's clock.")
    _check_address(event, request, rules)
    _check_payload(event, request, rules)
    _check_signature(event)
    return event


def _json_of(token: str) -> str:
    """Standard base64, with or without its padding; every token stands for one text and the other way round."""
    if len(token) > MAX_TOKEN:
        _refuse("header", f"The token is longer than {MAX_TOKEN} characters.")
    bare = token.rstrip("=")
    padding = "=" * (-len(bare) % 4)
    try:
        raw = b64decode(bare + padding)
        text = raw.decode()
    except (NotBase64, ValueError):
        _refuse("header", "The token is no base64 of a text.")
    if token not in (bare, bare + padding) or b64encode(raw).decode().rstrip("=") != bare:
        _refuse("header", "The token is no base64 of a text.")
    return text


def _event_of(text: str) -> Event:
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        _refuse("event", "The token holds no valid JSON, or a name in it stands twice.")
    if not isinstance(value, dict) or set(value) != _MEMBERS:
        _refuse("event", f"An event is a JSON object of {', '.join(sorted(_MEMBERS))}.")
    try:
        return parse_event(value)
    except BackupError as error:
        _refuse("event", error.message)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _check_tags(event: Event) -> None:
    counts = Counter(tag[0] if tag else "" for tag in event.tags)
    for name in ("u", "method"):
        if not counts[name]:
            _refuse("tags", f"There is no tag {name!r}.")
    if twice := [name for name, count in counts.items() if count > 1]:
        _refuse("tags", f"The tag {twice[0]!r} stands twice.")


def _check_address(event: Event, request: SignedRequest, rules: Rules) -> None:
    # A request line may name a host too: that is the client's word.
    target = _HOST_OF_TARGET.sub("", request.target)
    wanted = [origin + target for origin in rules.origins]
    if event.tag_values("u")[0] not in wanted:
        told = f"it is {wanted[0]}." if wanted else "the operator has not said how this site is reached."
        _refuse("url", f"The tag 'u' is not the address of this request: {told}")
    method = event.tag_values("method")[0]
    if not method.isascii() or method.upper() != request.method:
        _refuse("method", f"The tag 'method' is not {request.method}.")


def _check_payload(event: Event, request: SignedRequest, rules: Rules) -> None:
    given = event.tag_values("payload")
    if given and given[0] != hashlib.sha256(request.body).hexdigest():
        _refuse("payload", "The tag 'payload' is not the SHA-256 (lower-case hex) of the body.")
    if request.body and not given and rules.payload_required:
        _refuse("payload", "A request with a body wants its SHA-256 in a tag 'payload'.")


def _check_signature(event: Event) -> None:
    try:
        verify_event(event)
    except BackupError as error:
        name = {"wrong_event_id": "id", "wrong_signature": "signature"}.get(error.code, "event")
        _refuse(name, error.message)


def _refuse(check: str, message: str) -> NoReturn:
    raise BackupError(message, code=f"nip98_{check}", permanent=True) from None
