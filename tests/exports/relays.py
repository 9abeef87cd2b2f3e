"""Relays of a test's own, to be as odd or as hostile as it wants: `python` code says what they answer."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

Event = dict[str, Any]
Behaviour = Callable[["OddRelay", ServerConnection, list[Any]], bool]


@dataclass
class OddRelay:
    """Answers as NIP-01 says, but for `cap` (events an answer) and what `behave` takes over (by returning True)."""

    url: str = ""
    events: list[Event] = field(default_factory=list)
    cap: int = 500
    heeds_limit: bool = True
    heeds_until: bool = True
    behave: Behaviour | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)
    taken: list[Event] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    headers: dict[str, str] = field(default_factory=dict)

    def stored(self, query: dict[str, Any]) -> list[Event]:
        """The newest first."""
        found = [
            event
            for event in self.events
            if event["pubkey"] in query.get("authors", [event["pubkey"]])
            and event["kind"] in query.get("kinds", [event["kind"]])
            and event["created_at"] >= query.get("since", 0)
            and (not self.heeds_until or event["created_at"] <= query.get("until", 1 << 60))
        ]
        found.sort(key=lambda event: (-event["created_at"], event["id"]))
        return found[: min(query.get("limit", self.cap), self.cap) if self.heeds_limit else self.cap]

    def serve(self, socket: ServerConnection) -> None:
        try:
            for text in socket:
                message = json.loads(text)
                if message[0] == "REQ":
                    self.asked.append(message[2])
                if not (self.behave and self.behave(self, socket, message)):
                    self._answer(socket, message)
        except ConnectionClosed:
            return

    def _answer(self, socket: ServerConnection, message: list[Any]) -> None:
        match message:
            case ["REQ", name, query]:
                for event in self.stored(query):
                    say(socket, "EVENT", name, event)
                say(socket, "EOSE", name)
            case ["EVENT", event]:
                known = any(one["id"] == event["id"] for one in self.events)
                if not known:
                    self.events.append(event)
                self.taken.append(event)
                say(socket, "OK", event["id"], True, "duplicate: have it" if known else "")


def say(socket: ServerConnection, *message: Any) -> None:
    socket.send(json.dumps(message))


@contextmanager
def odd_relay(**values: Any) -> Iterator[OddRelay]:
    """On 127.0.0.1, in threads of this process."""
    relay = OddRelay(**values)
    with serve(
        relay.serve, "127.0.0.1", 0, compression=None, max_size=None, ping_interval=None, close_timeout=1
    ) as server:
        relay.url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield relay
        finally:
            relay.released.set()
            server.shutdown()
            thread.join()
