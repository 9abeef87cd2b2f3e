"""One reading of a nostr source: collection by collection from all relays, then the files that the events name."""

import hashlib
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from exports.nostr.event import Event, line_of
from exports.nostr.files import files_named
from exports.nostr.known import Known
from exports.nostr.merge import merged
from exports.nostr.pages import Pages, Tally, Wanted
from exports.nostr.relay import Relay
from exports.sources.base import Part, ReadRequest
from exports.sources.fetch import Fetcher
from exports.sources.media import Media
from jobs.errors import BackupError

AHEAD_S = 3600  # clocks of authors differ; what is dated later still comes when its time has come
BLOCK = 64 << 10
_SLICE_S = 0.2
_WORDS = {  # what a user is told; the job's log says more
    "unreachable": "It could not be reached.",
    "egress_refused": "It could not be reached.",
}


class Options(Protocol):
    """See NostrOptions."""

    @property
    def page_size(self) -> int: ...
    @property
    def max_events(self) -> int: ...
    @property
    def timeout_s(self) -> int: ...
    @property
    def media(self) -> bool: ...
    @property
    def media_max_bytes(self) -> int: ...
    @property
    def media_servers(self) -> tuple[str, ...]: ...


@dataclass
class _Asked:
    """A relay in this reading. One that failed is not asked again; `read` are the collections it gave whole."""

    relay: Relay
    failure: BackupError | None = None
    tally: Tally = field(default_factory=Tally)
    read: set[str] = field(default_factory=set)

    @property
    def key(self) -> str:
        """What the next incremental knows it by: an address may hold a key."""
        return hashlib.sha256(self.relay.url.encode()).hexdigest()[:32]

    def facts(self) -> dict[str, Any]:
        tally, failure = self.tally, self.failure
        told = {"reason": failure.code, "message": _WORDS.get(failure.code, failure.message)} if failure else {}
        crowded = {"crowded_seconds": tally.crowded[:100]} if tally.crowded else {}
        return {
            "url": shown(self.relay.url),
            "state": "failed" if failure else "read",
            **told,
            "received": tally.received,
            "given": tally.given,
            "duplicate": tally.duplicate,
            "invalid": tally.invalid,
            "outside": tally.outside,
            **crowded,
        }


class NostrReading:
    """See Reading. `kinds` says which kind a collection is of, None for all."""

    def __init__(
        self,
        *,
        options: Options,
        settings: Mapping[str, Any],
        request: ReadRequest,
        kinds: Mapping[str, int | None],
        relays: Sequence[Relay],
    ) -> None:
        self.facts: dict[str, Any] = {"collections": {}}
        self._options, self._settings, self._request, self._kinds = options, settings, request, kinds
        self._asked = [_Asked(relay) for relay in relays]
        self._at = int(time.time())
        self._count = 0
        fetcher = Fetcher(
            settings,
            request.guard,
            timeout_s=options.timeout_s,
            max_bytes=options.media_max_bytes,
            own={server: {} for server in options.media_servers},
        )
        self._media = Media(fetcher, request.guard.log)

    def __iter__(self) -> Iterator[Part]:
        for name in self._kinds:
            part = Part(f"{name}.ndjson", ())
            part.blocks = self._blocks(name, part)
            yield part
        if self._options.media:
            yield from self._media.parts()
            self.facts["media"] = self._media.facts()
        self.facts["relays"] = [asked.facts() for asked in self._asked]

    def _blocks(self, name: str, part: Part) -> Iterator[bytes]:
        """Lines of events, the newest first, that this collection's export before did not hold where that is known."""
        known = Known.after((self._request.parent or {}).get("collections", {}).get(name, {}).get("continue"), self._at)
        records, waiting, size = 0, list[bytes](), 0
        for event in self._events(name, known):
            records += 1
            waiting.append(line_of(event))
            size += len(waiting[-1])
            if size >= BLOCK:
                yield b"".join(waiting)
                waiting, size = [], 0
        self._require_read(name)
        yield b"".join(waiting)
        part.facts["records"] = records
        known.asked({asked.key for asked in self._asked if name in asked.read})
        told: dict[str, Any] = {"records": records, "kind": self._kinds[name], "since": known.since_of_all()}
        self.facts["collections"][name] = told | {"continue": known.facts()}
        self._request.guard.log(f"{name}: {records} events")

    def _events(self, name: str, known: Known) -> Iterator[Event]:
        with ExitStack() as stack:
            streams = [self._of(asked, name, known.since(asked.key)) for asked in self._asked]
            for stream in streams:
                stack.callback(stream.close)
            for number, event in merged(streams, self._count_duplicate):
                tally = self._asked[number].tally
                if event.id in known:
                    tally.duplicate += 1
                    continue
                known.add(event)
                self._count_one()
                tally.given += 1
                if self._options.media:
                    self._media.want(files_named(event))
                yield event

    def _of(self, asked: _Asked, name: str, since: int) -> Generator[Event, None, None]:
        """What one relay has. It ends where the relay fails: whether others have given all is asked afterwards."""
        if asked.failure is not None:
            return
        wanted = Wanted(
            pubkey=self._request.pubkey,
            kind=self._kinds[name],
            since=since,
            until=self._at + AHEAD_S,
            page=self._options.page_size,
        )
        try:
            yield from Pages(asked.relay, wanted, asked.tally, self._rest)
            asked.read.add(name)
        except BackupError as error:
            self._request.guard.check()  # it may be the job that has to stop, not the relay that failed
            if error.code == "stopped":
                raise
            asked.failure = error
            self._request.guard.log(f"{shown(asked.relay.url)}: {error}")

    def _require_read(self, name: str) -> None:
        """Raises BackupError(code="no_relay") when no relay has given this collection to its end."""
        if any(name in asked.read for asked in self._asked):
            return
        failures = [asked.failure for asked in self._asked if asked.failure is not None]
        raise BackupError(
            f"No relay has given {name} to its end.",
            code="no_relay",
            permanent=all(failure.permanent for failure in failures),
            hint=" ".join(f"{shown(asked.relay.url)}: {asked.facts().get('message')}" for asked in self._asked)[:1000],
        )

    def _count_duplicate(self, number: int) -> None:
        self._asked[number].tally.duplicate += 1

    def _count_one(self) -> None:
        self._count += 1
        if self._count > self._options.max_events:
            raise BackupError(
                f"There are more than {self._options.max_events} events.",
                code="too_large",
                permanent=True,
                hint="Ask for a selective or an incremental export, or ask the operator to raise max_events.",
            )

    def _rest(self, seconds: float) -> None:
        """Between two attempts."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._request.guard.check()
            time.sleep(min(left, _SLICE_S))


def shown(url: str) -> str:
    """Without its query, which may hold a key."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"
