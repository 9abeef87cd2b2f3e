"""What an incremental export continues from: when each relay was last read to its end, and what was given lately.

Events come late: an author's clock is wrong, a relay got it from another one days later. So an incremental asks again
for the last day before the export it continues, and leaves out what that one held; for this the ids of that day are
kept, the newest of them where there are very many (then less than a day is asked for again).
"""

import heapq
from collections.abc import Iterable, Mapping
from typing import Any, Self

from exports.nostr.event import Event

OVERLAP_S = 24 * 3600
MOST_IDS = 2000
ID_DIGITS = 32  # 128 bits tell events of one author apart


class Known:
    """Of one collection. `relays` are the times at which relays were read, by key; `floor` is where the ids begin."""

    def __init__(self, at: int, relays: Mapping[str, int], ids: Iterable[tuple[int, str]], floor: int) -> None:
        self._at = at
        self._relays, self._floor = dict(relays), floor
        self._before = {digits for _, digits in ids}
        self._ids = list(ids)  # a heap, the oldest on top
        heapq.heapify(self._ids)
        self._next_floor = max(at - OVERLAP_S, floor, 0)
        self._incremental = bool(relays)

    @classmethod
    def after(cls, facts: Mapping[str, Any] | None, at: int) -> Self:
        """From the facts of the export before; nothing of them begins at the beginning."""
        if not facts:
            return cls(at, {}, [], 0)
        ids = [(int(time), str(digits)) for time, digits in facts["ids"]]
        return cls(at, facts["relays"], ids, int(facts["floor"]))

    def since(self, relay: str) -> int:
        """From when on this relay is asked: from the beginning where it was never read to its end."""
        read_at = self._relays.get(relay)
        if read_at is None:
            return 0
        late = read_at - OVERLAP_S
        return max(late, min(self._floor, read_at), 0)

    def since_of_all(self) -> int | None:
        """The earliest time that a relay was asked from, for the index; None for all time."""
        return min(self.since(relay) for relay in self._relays) if self._incremental else None

    def __contains__(self, id: object) -> bool:
        return isinstance(id, str) and id[:ID_DIGITS] in self._before

    def add(self, event: Event) -> None:
        """It was given now."""
        if event.created_at < self._next_floor:
            return
        heapq.heappush(self._ids, (event.created_at, event.id[:ID_DIGITS]))
        if len(self._ids) > MOST_IDS:
            self._next_floor = max(self._next_floor, heapq.heappop(self._ids)[0] + 1)

    def asked(self, relays: Iterable[str]) -> None:
        """These were read to their end now; of the others, the time before stays."""
        self._relays |= dict.fromkeys(relays, self._at)

    def facts(self) -> dict[str, Any]:
        kept = sorted(pair for pair in self._ids if pair[0] >= self._next_floor)
        return {"relays": self._relays, "floor": self._next_floor, "ids": [list(pair) for pair in kept]}
