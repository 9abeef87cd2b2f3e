"""Nostr relays: every event of a public key, verified, from all of them together."""

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import urlsplit

from databases.engines.base import CheckReport, Connection
from exports.nostr.event import HIGHEST_KIND
from exports.nostr.relay import connected
from exports.sources.base import Reading, ReadRequest, UserSource
from exports.sources.nostr_reading import NostrReading, shown
from jobs.errors import BackupError

NOBODY = "0" * 64  # no point of the curve has that x
EVERYTHING = "events"  # the collection of all kinds together
PREFIX = "kind-"
MOST_RELAYS = 20
CHECK_S = 10.0


def _option(default: Any, help_text: str) -> Any:
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True)
class NostrOptions:
    """Kinds are numbers, written as texts as every list of options is."""

    relays: tuple[str, ...] = field(
        default=(), metadata={"help": "Addresses of relays, for example wss://relay.example.com."}
    )
    kinds: tuple[str, ...] = field(
        default=(), metadata={"help": "Kinds of events, each a collection (empty: all kinds, in one collection)."}
    )
    page_size: int = _option(500, "Events to ask a relay for at once.")
    max_events: int = _option(1_000_000, "An export with more events fails.")
    timeout_s: int = _option(30, "Seconds that a relay, or a server of media, may take for one answer.")
    media: bool = _option(False, "Whether files that events name with their SHA-256 are fetched too.")
    media_max_bytes: int = _option(100 << 20, "Larger files are left out.")
    media_servers: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "Your own servers of media in private networks, for example http://blossom.internal:3000. "
            "Others are reached at public addresses only."
        },
    )


class NostrSource(UserSource):
    kind: ClassVar[str] = "nostr"
    label: ClassVar[str] = "Nostr relays"
    about: ClassVar[str] = "The events of one user, read from relays and verified."
    Options: ClassVar[type] = NostrOptions

    @classmethod
    def validate(cls, connection: Connection, options: Any) -> dict[str, str]:
        faults = {
            "relays": _relay_fault(options.relays),
            "kinds": _kind_fault(options.kinds),
            "media_servers": _server_fault(options.media_servers),
        }
        ranges = {
            "page_size": (1, 5000),
            "max_events": (1, 100_000_000),
            "timeout_s": (1, 300),
            "media_max_bytes": (1, 10 << 30),
        }
        for name, (least, most) in ranges.items():
            if not least <= getattr(options, name) <= most:
                faults[name] = f"A number from {least} to {most}."
        return {f"options.{name}": text for name, text in faults.items() if text}

    @property
    def collections(self) -> tuple[str, ...]:
        return tuple(PREFIX + kind for kind in self.options.kinds) or (EVERYTHING,)

    def chosen(self, select: Iterable[str]) -> tuple[str, ...]:
        """`1` is `kind-1`. Where no kinds are configured, any may be chosen."""
        found = []
        for name in select:
            kind = name.removeprefix(PREFIX)
            full = PREFIX + kind if _is_kind(kind) else name
            if full in self.collections or (not self.options.kinds and _is_kind(kind)):
                found.append(full)
        return tuple(dict.fromkeys(found))

    def check(self) -> CheckReport:
        """Asks each relay for an event of nobody. One that answers is enough; the others are warnings."""
        began, latency, warnings = time.monotonic(), None, []
        for url in self.options.relays:
            try:
                with connected(url, self.settings, _NOBODYS_JOB, timeout_s=min(CHECK_S, self.options.timeout_s)) as one:
                    one.ask({"authors": [NOBODY], "limit": 1}, most=100)
                latency = latency or round(1000 * (time.monotonic() - began), 1)
            except BackupError as error:
                warnings.append(f"{shown(url)}: {error.message}")
        if latency is not None:
            return CheckReport(ok=True, latency_ms=latency, server_version="NIP-01", warnings=tuple(warnings))
        return CheckReport(ok=False, error=" ".join(warnings), code="unreachable", hint="Check the addresses.")

    @contextmanager
    def read(self, request: ReadRequest) -> Iterator[Reading]:
        chosen = self.chosen(request.select) if request.select else self.collections
        kinds = {name: None if name == EVERYTHING else int(name.removeprefix(PREFIX)) for name in chosen}
        with ExitStack() as stack:
            yield NostrReading(
                options=self.options,
                settings=self.settings,
                request=request,
                kinds=kinds,
                relays=[
                    stack.enter_context(
                        connected(url, self.settings, request.guard, timeout_s=float(self.options.timeout_s))
                    )
                    for url in self.options.relays
                ],
            )


class _NobodysJob:
    """Somebody waits for a check; no job does."""

    def check(self) -> None:
        """Goes on."""

    def on_abort(self, callback: Any) -> Any:
        return lambda: None

    def log(self, message: str) -> None:
        """Nobody reads it."""


_NOBODYS_JOB = _NobodysJob()


def _is_kind(text: str) -> bool:
    plain = text.isascii() and text.isdigit() and len(text) <= len(str(HIGHEST_KIND))
    return plain and str(int(text)) == text and int(text) <= HIGHEST_KIND


def _relay_fault(relays: tuple[str, ...]) -> str:
    if not relays:
        return "Name at least one relay."
    if len(relays) > MOST_RELAYS:
        return f"At most {MOST_RELAYS}."
    if len({url.rstrip("/").lower() for url in relays}) < len(relays):
        return "A relay is named twice."
    faults = (address_fault(url, ("ws", "wss")) for url in relays)
    return next((text for text in faults if text), "")


def _kind_fault(kinds: tuple[str, ...]) -> str:
    if not all(_is_kind(kind) for kind in kinds):
        return f"Kinds are whole numbers from 0 to {HIGHEST_KIND}."
    return "A kind is named twice." if len(set(kinds)) < len(kinds) else ""


def _server_fault(servers: tuple[str, ...]) -> str:
    faults = (address_fault(url, ("http", "https")) for url in servers)
    return next((text for text in faults if text), "")


def address_fault(url: str, schemes: tuple[str, ...]) -> str:
    """What is wrong with a configured address, without repeating it; empty when nothing is."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "This is no URL."
    if parts.scheme not in schemes or not host or port == 0 or not url.isascii() or not url.isprintable() or " " in url:
        return f"Write it as {schemes[-1]}://host or {schemes[0]}://host:port/path, in ASCII."
    if "@" in parts.netloc or parts.fragment:
        return "Leave out user, password and what follows a #."
    return ""
