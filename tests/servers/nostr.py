"""A throw-away Nostr relay: PyPI's `nostr-relay`, in a venv of its own, over a SQLite file. `fill` writes events in."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

from tests.servers.fetch import nostr_relay
from tests.servers.process import answers, free_port, running

_CONFIG = """
DEBUG: false
relay_name: test relay
storage:
  sqlalchemy.url: sqlite+aiosqlite:///{folder}/events.sqlite3
  num_concurrent_reqs: 10
  num_concurrent_adds: 2
  validators:
    - nostr_relay.validators.is_signed
verification:
  nip05_verification: disabled
gunicorn:
  bind: 127.0.0.1:{port}
  workers: 1
  loglevel: warning
  reload: false
authentication:
  enabled: false
message_timeout: 1800
subscription_limit: 32
max_limit: {max_limit}
"""
_WINDOW = 100


@dataclass(frozen=True)
class NostrRelay:
    """A running relay."""

    url: str
    store: Path

    def load(self, events: Iterable[dict[str, Any]]) -> None:
        """Straight into its store: thousands in a moment. They have to be true, nobody looks at them."""
        rows = [
            (
                bytes.fromhex(event["id"]),
                event["created_at"],
                event["kind"],
                bytes.fromhex(event["pubkey"]),
                json.dumps(event["tags"]),
                bytes.fromhex(event["sig"]),
                event["content"],
            )
            for event in events
        ]
        with closing(sqlite3.connect(self.store, timeout=30)) as connection, connection:
            connection.executemany(
                "INSERT INTO events (id, created_at, kind, pubkey, tags, sig, content) VALUES (?, ?, ?, ?, ?, ?, ?)",
                rows,
            )

    def fill(self, events: Iterable[dict[str, Any]]) -> None:
        """Every one has to be taken."""
        with connect(self.url, proxy=None, max_size=None) as socket:
            waiting = list(events)
            for at in range(0, len(waiting), _WINDOW):
                some = waiting[at : at + _WINDOW]
                for event in some:
                    socket.send(json.dumps(["EVENT", event], ensure_ascii=False))
                for _ in some:
                    said = json.loads(socket.recv(timeout=60))
                    assert said[0] == "OK" and said[2], said

    def ids(self, pubkey: str) -> set[str]:
        """Of all events of an author, up to the relay's limit."""
        with connect(self.url, proxy=None, max_size=None) as socket:
            socket.send(json.dumps(["REQ", "x", {"authors": [pubkey]}]))
            found = set()
            while (said := json.loads(socket.recv(timeout=60)))[0] == "EVENT":
                found.add(said[2]["id"])
            return found


@contextmanager
def start_nostr(folder: Path, *, max_limit: int = 6000) -> Iterator[NostrRelay]:
    """Starts an empty relay with everything in `folder`. Raises Missing or ServerError."""
    folder.mkdir(parents=True)
    port = free_port()
    config = folder / "config.yaml"
    config.write_text(_CONFIG.format(folder=folder, port=port, max_limit=max_limit))
    command = [str(nostr_relay()), "-c", "from nostr_relay.cli import main; main()", "-c", str(config), "serve"]
    with running(command, log=folder / "relay.log", ready=lambda: answers(port), timeout=60):
        yield NostrRelay(f"ws://127.0.0.1:{port}", folder / "events.sqlite3")
