"""All events of one author that a relay holds, the newest first, page by page.

A page is asked for by `until`, which includes its second: what came from that second before is known again. The end is
an empty answer, never a short one: relays cap `limit` as they like. Each question asks for an earlier second than the
one before, or is the last one about its second, so that no relay can keep us for ever.

Some relays leave the seconds of `since` and `until` themselves out: since is asked for a second earlier, and a relay
that does not repeat what it sent of a second is asked for one more.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from exports.nostr.event import Event, parse_event, verify_event
from exports.nostr.relay import Answer, Relay
from jobs.errors import BackupError

PAUSES_S = (0.5, 2.0)  # before a question is asked again, where that may help
AGAIN = frozenset({"unreachable", "relay_busy"})
PATIENCE = 20  # times its timeout: what all answers of one relay may take together
MORE = 10  # times a page: what is asked for of a second that fills one
SUSPICIOUS = 100  # so many events at one second, and none more when more were asked for: the relay's own limit
MOST_TIMES = 4  # times what was asked for: a relay that sends more than that is cut short


@dataclass
class Tally:
    """What a relay has sent. `crowded` are seconds of which it may hold more than it hands out."""

    received: int = 0
    invalid: int = 0  # no event, not signed by its author, or of another author or kind than asked
    outside: int = 0  # of another time than asked
    duplicate: int = 0  # sent before, by this relay or another
    given: int = 0
    crowded: list[int] = field(default_factory=list)
    waited_s: float = 0.0


@dataclass(frozen=True)
class Wanted:
    """Events from `since` to `until`, both included, in seconds since 1970; `kind` None is every kind."""

    pubkey: str
    kind: int | None
    since: int
    until: int
    page: int

    def query(self, *, since: int, until: int, limit: int) -> dict[str, Any]:
        """A filter of NIP-01."""
        query: dict[str, Any] = {"authors": [self.pubkey], "until": until, "limit": limit}
        if self.kind is not None:
            query["kinds"] = [self.kind]
        return query | ({"since": since - 1} if since > 0 else {})


class Pages:
    """Iterates over the events, none twice. Raises BackupError where the relay fails, refuses or lies."""

    def __init__(self, relay: Relay, wanted: Wanted, tally: Tally, rest: Callable[[float], None]) -> None:
        self._relay, self._wanted, self._tally, self._rest = relay, wanted, tally, rest
        self._fullest = 0
        self._any = False
        self._beyond = 0  # seconds to add to `until`

    def __iter__(self) -> Iterator[Event]:
        until, known = self._wanted.until, set[str]()
        while until >= self._wanted.since:
            page = self._page(self._wanted.since, until, self._wanted.page)
            if known and not _repeats(page, known):
                page = self._page_with_its_second(page, until, known)
            if not page:
                return
            oldest = min(event.created_at for event in page)
            if oldest == until and len(page) >= self._fullest:
                page = self._crowd(page, until)
            self._fullest = max(self._fullest, len(page))
            fresh = [event for event in page if event.id not in known]
            self._tally.duplicate += len(page) - len(fresh)
            yield from sorted(fresh, key=lambda event: -event.created_at)
            if oldest < until:
                until, known = oldest, {event.id for event in page if event.created_at == oldest}
            else:
                until, known = until - 1, set()

    def _page_with_its_second(self, page: list[Event], until: int, known: set[str]) -> list[Event]:
        """What was sent of that second before is not in it: does the relay leave that second out?"""
        if self._beyond:
            return page
        self._beyond = 1
        with_it = self._page(self._wanted.since, until, self._wanted.page)
        if _repeats(with_it, known):
            return with_it
        self._beyond = 0  # it was deleted meanwhile
        return page

    def _crowd(self, page: list[Event], second: int) -> list[Event]:
        """A second that fills a page: asked for by itself, and for more of it."""
        all_of_it = self._page(second, second, self._wanted.page * MORE)
        no_more = len(all_of_it) <= len(page) and len(page) >= min(self._wanted.page, SUSPICIOUS)
        if no_more or len(all_of_it) >= self._wanted.page * MORE:
            self._tally.crowded.append(second)
        return list({event.id: event for event in (*page, *all_of_it)}.values())

    def _page(self, since: int, until: int, limit: int) -> list[Event]:
        answer = self._ask(self._wanted.query(since=since, until=until + self._beyond, limit=limit), limit * MOST_TIMES)
        found: dict[str, Event] = {}
        outside = later = 0
        for value in answer.values:
            self._tally.received += 1
            event = self._true(value)
            if event is None:
                self._tally.invalid += 1
            elif not since <= event.created_at <= until:
                outside += event.created_at not in (since - 1, until + self._beyond)
                later += event.created_at > until + self._beyond
            elif event.id in found:
                self._tally.duplicate += 1
            else:
                found[event.id] = event
        self._tally.outside += outside
        self._any = self._any or bool(found)
        _require_sense(answer, list(found.values()), lies=not self._any and not outside, later=later)
        return list(found.values())

    def _true(self, value: Any) -> Event | None:
        """The event, when it is one, its author signed it, and it is what was asked for."""
        try:
            event = parse_event(value)
            if event.pubkey != self._wanted.pubkey or self._wanted.kind not in (None, event.kind):
                return None
            verify_event(event)
        except BackupError:
            return None
        return event

    def _ask(self, query: Mapping[str, Any], most: int) -> Answer:
        for pause in (*PAUSES_S, None):
            began = time.monotonic()
            try:
                return self._relay.ask(query, most=most)
            except BackupError as error:
                if pause is None or error.code not in AGAIN:
                    raise
            finally:
                self._tally.waited_s += time.monotonic() - began
                self._require_patience()
            self._rest(pause)
        raise AssertionError

    def _require_patience(self) -> None:
        if self._tally.waited_s > PATIENCE * self._relay.timeout_s:
            raise BackupError(
                f"All its answers together took longer than {PATIENCE * self._relay.timeout_s:.0f} s.", code="timeout"
            )


def _repeats(page: list[Event], known: set[str]) -> bool:
    return any(event.id in known for event in page)


def _require_sense(answer: Answer, events: list[Event], *, lies: bool, later: int) -> None:
    """An answer without anything that was asked for is an end only where there was nothing else in it either."""
    if not events and later:
        raise BackupError("It does not heed `until`: only its newest events could be read.", code="relay_lies")
    if not events and answer.values and lies:
        raise BackupError("Nothing in its answer was an event that was asked for.", code="relay_lies")
    times = [event.created_at for event in events]
    if not answer.whole and (not events or times != sorted(times, reverse=True)):
        raise BackupError("It sends without end, in no order.", code="relay_lies")
