"""Sources that are read in this process, without a site."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from databases.engines.base import Connection
from exports.sources.base import ReadRequest, UserSource
from exports.sources.registry import build

EVERYWHERE: dict[str, Any] = {"allowed_networks": ["0.0.0.0/0", "::/0"]}


class Stopped(Exception):
    """The job was told to stop."""


@dataclass
class OneGuard:
    """A job that can be told to stop, from any thread."""

    lines: list[str] = field(default_factory=list)
    callbacks: list[Callable[[], None]] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        if self.stopped.is_set():
            raise Stopped

    def on_abort(self, callback: Callable[[], None]) -> Callable[[], None]:
        self.callbacks.append(callback)
        return lambda: self.callbacks.remove(callback)

    def log(self, message: str) -> None:
        self.lines.append(message)

    def stop(self) -> None:
        self.stopped.set()
        for callback in list(self.callbacks):
            callback()


@dataclass
class Read:
    """All that a source gave."""

    files: dict[str, bytes]
    parts: dict[str, dict[str, Any]]
    facts: dict[str, Any]

    def events(self, name: str = "events") -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.files[f"{name}.ndjson"].splitlines()]


def nostr(*urls: str, settings: dict[str, Any] | None = None, **options: Any) -> UserSource:
    return build("nostr", Connection(), {"relays": list(urls), "timeout_s": 5, **options}, settings or EVERYWHERE)


def read(source: UserSource, pubkey: str, *, guard: OneGuard | None = None, **asked: Any) -> Read:
    """Everything at once, in memory."""
    found = Read({}, {}, {})
    with source.read(ReadRequest(pubkey, guard or OneGuard(), **asked)) as reading:
        for part in reading:
            found.files[part.name] = b"".join(part.blocks)
            found.parts[part.name] = part.facts
        found.facts = reading.facts
    return found
