"""An object's member: what its headers say of it, checked before anything is done with it."""

import json
import re
from dataclasses import dataclass
from typing import Any

from databases.engines.s3_bucket.reader import Member
from databases.engines.s3_bucket.structure import damaged
from databases.engines.s3_bucket.tarformat import CONTENT_TYPE, ETAG, KEY, META, VERSION_ID, decode_key, escaped_name

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110: what a header can be called


@dataclass(frozen=True)
class Object:
    """An object's member. Its bytes are read by `Walk.readinto` before the next step, or skipped."""

    key: str
    name: str
    size: int
    etag: str
    version_id: str
    content_type: str
    metadata: dict[str, dict[str, str]]


def json_object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise damaged("The manifest or the summary is not JSON.") from error
    if not isinstance(value, dict):
        raise damaged("The manifest or the summary is not made of JSON objects.")
    return value


def object_of(member: Member) -> Object:
    if KEY not in member.pax:
        raise damaged("A member has no key.")
    try:
        key = decode_key(member.pax[KEY])
        key.encode()
    except UnicodeError as error:
        raise damaged("A member's key is not UTF-8.") from error
    if not key or member.name not in (key, escaped_name(key)):
        raise damaged("A member's name does not belong to its key.")
    return Object(
        key=key,
        name=member.name,
        size=member.size,
        etag=member.pax.get(ETAG, ""),
        version_id=member.pax.get(VERSION_ID, ""),
        content_type=_header_value(member.pax.get(CONTENT_TYPE, "")),
        metadata=_metadata(member.pax.get(META, "")),
    )


def _metadata(text: str) -> dict[str, dict[str, str]]:
    """See META of tarformat."""
    groups = json_object(text.encode()) if text else {}
    for group, pairs in groups.items():
        if group not in ("user", "headers") or not isinstance(pairs, dict):
            raise damaged("The metadata of a member are malformed.")
        for name, value in pairs.items():
            if not _TOKEN.fullmatch(name) or not isinstance(value, str):
                raise damaged("The metadata of a member are malformed.")
            _header_value(value)
    return groups


def _header_value(text: str) -> str:
    """No line of HTTP can be smuggled in with it."""
    if any((ord(character) < 0x20 and character != "\t") or ord(character) == 0x7F for character in text):
        raise damaged("The metadata of a member hold control characters.")
    return text
