"""Files that the records of a service name: where their addresses are in a record, and who is asked with what."""

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urljoin

from databases.engines.base import Connection
from exports.nostr.files import LONGEST_URL, NamedFile

DEEPEST = 16


def path_of(text: str) -> tuple[str, ...]:
    return tuple(text.split(".")) if text else ()


def auth_headers(connection: Connection, options: Any) -> Mapping[str, str]:
    """What the service itself is asked with."""
    headers = {name.title(): value for name, value in options.headers.items()}
    if options.auth == "bearer":
        headers["Authorization"] = f"Bearer {options.token}"
    elif options.auth == "basic":
        pair = f"{connection.username}:{connection.password}".encode()
        headers["Authorization"] = f"Basic {b64encode(pair).decode()}"
    return headers


class Finder:
    """Reads lines of JSON as they pass, in blocks, and finds the addresses in them. `base` completes relative ones."""

    def __init__(self, path: Sequence[str], base: str) -> None:
        self._path, self._base = path, base
        self._begun = b""

    def feed(self, block: bytes) -> Iterator[NamedFile]:
        *lines, self._begun = (self._begun + block).split(b"\n")
        for line in lines:
            for value in _at(json.loads(line), self._path):
                if isinstance(value, str) and value.strip() and len(value) <= LONGEST_URL:
                    yield NamedFile(_joined(self._base, value.strip()))


def _at(value: Any, path: Sequence[str]) -> Iterator[Any]:
    """What lies there; every item of a list on the way."""
    if isinstance(value, list):
        for item in value:
            yield from _at(item, path)
    elif not path:
        yield value
    elif isinstance(value, dict) and path[0] in value:
        yield from _at(value[path[0]], path[1:])


def _joined(base: str, reference: str) -> str:
    try:
        return urljoin(base, reference)
    except ValueError:
        return reference  # no URL: the file fails, and says so
