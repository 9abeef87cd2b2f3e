"""Events of several relays as one stream, none of them twice, in memory that does not grow with their number."""

import heapq
from collections.abc import Callable, Iterable, Iterator

from exports.nostr.event import Event


def merged(streams: Iterable[Iterable[Event]], on_duplicate: Callable[[int], None]) -> Iterator[tuple[int, Event]]:
    """`(number of the stream, event)`, the newest first. Each stream has to come that way.

    Equal events have equal times, so what is remembered are the ids of one second.
    """
    numbered = [_numbered(number, stream) for number, stream in enumerate(streams)]
    second, known = -1, set[str]()
    for number, event in heapq.merge(*numbered, key=lambda pair: -pair[1].created_at):
        if event.created_at != second:
            second, known = event.created_at, set()
        if event.id in known:
            on_duplicate(number)
            continue
        known.add(event.id)
        yield number, event


def _numbered(number: int, stream: Iterable[Event]) -> Iterator[tuple[int, Event]]:
    for event in stream:
        yield number, event
