"""The files that an event names: NIP-94 (kind 1063) and NIP-92 (`imeta` tags), where both say a URL and a SHA-256."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from exports.nostr.event import Event

FILE_METADATA = 1063
LONGEST_URL = 2000
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class NamedFile:
    """`sha256` is empty where nobody said it; `type` is the media type as the event has it."""

    url: str
    sha256: str = ""
    type: str = ""


def files_named(event: Event) -> Iterator[NamedFile]:
    if event.kind == FILE_METADATA:
        yield from _named({tag[0]: tag[1] for tag in reversed(event.tags) if len(tag) > 1})
    for tag in event.tags:
        if tag and tag[0] == "imeta":
            pairs = [item.partition(" ") for item in tag[1:]]
            yield from _named({name: value.strip() for name, _, value in reversed(pairs)})


def _named(found: dict[str, str]) -> Iterator[NamedFile]:
    url, sha256 = found.get("url", ""), found.get("x", "").lower()
    if url.startswith(("http://", "https://")) and len(url) <= LONGEST_URL and _SHA256.fullmatch(sha256):
        yield NamedFile(url, sha256, found.get("m", "")[:100])
