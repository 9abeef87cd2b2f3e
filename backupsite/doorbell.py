"""The embedded broker: a folder of small files, one for each message, for the processes of one host.

kombu's own filesystem transport shows half-written messages to readers, and an empty one kills a worker. Here one is
published by renaming a finished file and claimed by renaming it away, so exactly one reader gets it whole. Losing one
is harmless all the same: the sweeper rings again.

Every message goes to the queue that its routing key names (Celery makes a queue's exchange and key of its name), so no
table of bindings is kept that two processes could tear.
"""

import json
import os
import time
import uuid
from collections import deque
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import TRANSPORT_ALIASES, virtual

SCHEME = "doorbell"
POLL_S = 0.2
DRAIN_S = 0.5
TIDY_S = 10.0
KEEP_S = 24 * 3600.0  # of a message that names no expiry, and of what a killed process left half done


class Channel(virtual.Channel):
    """Messages are `<folder>/<queue>/<published>-<expires>-<unique>` (milliseconds), taken in that order."""

    supports_fanout = False
    do_restore = False  # a message that was taken and not run is rung again

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._seen: dict[str, deque[str]] = {}
        self._tidied: dict[str, float] = {}

    def _lookup(self, exchange: str, routing_key: str, default: str | None = None) -> list[str]:
        return [routing_key]

    def _put(self, queue: str, message: dict[str, Any], **kwargs: Any) -> None:
        folder = self._folder(queue)
        self._tidy(queue, folder)
        name = f"{_now_ms():015d}-{_expires_ms(message):015d}-{uuid.uuid4().hex}"
        partial = folder / f".{name}"
        partial.write_text(json.dumps(message), encoding="utf-8")
        partial.rename(folder / name)

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:
        folder = self._folder(queue)
        names = self._seen.setdefault(queue, deque())
        if not names:
            names.extend(_messages(folder))
        while names:
            name = names.popleft()
            claimed = folder / f".{uuid.uuid4().hex}"
            try:
                (folder / name).rename(claimed)
            except FileNotFoundError:
                continue  # another process was faster
            text = claimed.read_text(encoding="utf-8")
            claimed.unlink()
            if not _expired(name):
                message: dict[str, Any] = json.loads(text)
                return message
        raise Empty

    def _size(self, queue: str) -> int:
        return sum(not _expired(name) for name in _messages(self._folder(queue)))

    def _purge(self, queue: str) -> int:
        return sum(_removed(self._folder(queue) / name) for name in _messages(self._folder(queue)))

    def _delete(self, queue: str, *args: Any, **kwargs: Any) -> None:
        self._purge(queue)
        with suppress(OSError):  # a message came in between
            self._folder(queue).rmdir()

    def _folder(self, queue: str) -> Path:
        if not queue or queue.startswith(".") or "/" in queue:
            raise ChannelError(f"{queue!r} is no name of a queue.")
        transport: Any = self.connection
        folder = Path(transport.client.transport_options["folder"]) / queue
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def _tidy(self, queue: str, folder: Path) -> None:
        """Keeps a queue that nobody reads from growing: removes what is expired, at most every ten seconds."""
        now = time.monotonic()
        if now - self._tidied.get(queue, -TIDY_S) < TIDY_S:
            return
        self._tidied[queue] = now
        for name in _messages(folder):
            if _expired(name):
                _removed(folder / name)
        for left in folder.glob(".*"):
            try:
                if time.time() - left.stat().st_mtime > KEEP_S:
                    _removed(left)
            except FileNotFoundError:
                continue


class Transport(virtual.Transport):
    """`doorbell://localhost`; the transport option `folder` says where."""

    Channel = Channel
    driver_type = driver_name = SCHEME
    polling_interval = POLL_S
    default_port = 0

    def drain_events(self, connection: Any, timeout: float | None = None, **kwargs: Any) -> None:
        """Returns to the worker often, so that it notices soon that it is to stop."""
        super().drain_events(connection, timeout=None if timeout is None else min(timeout, DRAIN_S))


def register() -> None:
    """Makes `doorbell://` known to kombu."""
    TRANSPORT_ALIASES[SCHEME] = f"{__name__}:Transport"


def _messages(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder) if not name.startswith("."))


def _removed(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def _now_ms() -> int:
    return int(time.time() * 1000)


def _expires_ms(message: dict[str, Any]) -> int:
    expires = message.get("headers", {}).get("expires")
    if expires is None:
        return _now_ms() + int(KEEP_S * 1000)
    return int(datetime.fromisoformat(expires).timestamp() * 1000)


def _expired(name: str) -> bool:
    return int(name.split("-")[1]) < _now_ms()
