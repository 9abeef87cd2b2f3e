"""What is said to a relay and what it says (NIP-01, NIP-42): questions by page, events to keep."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from exports.nostr.event import Event
from exports.nostr.wire import Wire
from jobs.errors import BackupError

MOST_PAGE_BYTES = 16 << 20  # what is held of one answer
MOST_NOISE = 1000  # messages of one answer that are no events of it
LONGEST_REASON = 200


@dataclass
class Answer:
    """What came to one question. `whole` is False where it was cut short because it was too much to hold."""

    values: list[Any] = field(default_factory=list)
    size: int = 0
    whole: bool = True


@dataclass(frozen=True)
class Taken:
    """What a relay said to an event: `accepted`, `duplicate` or `refused`, and why."""

    outcome: str
    reason: str = ""


class Relay:
    """One relay. Whatever it does not do within `timeout_s` has failed."""

    def __init__(self, url: str, settings: Mapping[str, Any], check: Callable[[], None], *, timeout_s: float) -> None:
        self.url, self.timeout_s = url, timeout_s
        self._wire = Wire(url, settings, check)
        self._asked = 0
        self._challenged = False

    def ask(self, query: Mapping[str, Any], *, most: int) -> Answer:
        """All that the relay has stored for the filter, up to its end of stored events; not more than `most` values.

        Raises BackupError as Wire does, and relay_refused where the relay closes the question.
        """
        deadline = time.monotonic() + self.timeout_s
        self._ready()
        self._asked += 1
        name = f"q{self._asked}"
        self._say(["REQ", name, query])
        answer, noise = Answer(), 0
        while True:
            text = self._wire.receive(deadline)
            answer.size += len(text)
            match _parsed(text):
                case ["EVENT", str() as asked, value] if asked == name:
                    answer.values.append(value)
                case ["EOSE", str() as asked, *_] if asked == name:
                    self._say(["CLOSE", name])
                    return answer
                case ["CLOSED", str() as asked, *rest] if asked == name:
                    raise self._refusal(_reason(rest))
                case ["AUTH", *_]:
                    self._challenged = True
                case _:
                    noise += 1
            if noise > MOST_NOISE:
                raise BackupError("It sends other things than what was asked for.", code="relay_lies")
            if len(answer.values) >= most or answer.size >= MOST_PAGE_BYTES:
                answer.whole = False
                self._wire.close()  # the rest is not waited for
                return answer

    def publish(self, events: list[Event], taken: dict[str, Taken]) -> None:
        """Sends all of them, then waits for the answers, which go into `taken` by the event's id as they come."""
        deadline = time.monotonic() + self.timeout_s
        self._ready()
        for event in events:
            self._say(["EVENT", event.as_json()])
        waiting, noise = {event.id for event in events}, 0
        while waiting:
            match _parsed(self._wire.receive(deadline)):
                case ["OK", str() as which, bool() as kept, *rest] if which in waiting:
                    waiting.discard(which)
                    taken[which] = _taken(kept, _reason(rest))
                case ["AUTH", *_]:
                    self._challenged = True
                case _:
                    noise += 1
            if noise > MOST_NOISE:
                raise BackupError("It sends other things than what was asked for.", code="relay_lies")

    def stop(self) -> None:
        """From any thread."""
        self._wire.stop()

    def close(self) -> None:
        self._wire.close()

    def _ready(self) -> None:
        if not self._wire.is_open:
            self._wire.open(self.timeout_s)

    def _say(self, message: list[Any]) -> None:
        self._wire.send(json.dumps(message, ensure_ascii=False, separators=(",", ":")), self.timeout_s)

    def _refusal(self, reason: str) -> BackupError:
        if reason.startswith("auth-required") or (self._challenged and reason.startswith("restricted")):
            return BackupError(
                f"It wants its readers to sign in (NIP-42), which an export cannot do: {reason}",
                code="relay_refused",
                permanent=True,
            )
        busy = reason.startswith(("rate-limited", "error"))
        return BackupError(f"It refused to answer: {reason}", code="relay_busy" if busy else "relay_refused")


@contextmanager
def connected(
    url: str,
    settings: Mapping[str, Any],
    guard: Any,
    *,
    timeout_s: float,
) -> Iterator[Relay]:
    """A relay that the job's guard can interrupt; nothing is sent yet."""
    relay = Relay(url, settings, guard.check, timeout_s=timeout_s)
    take_back = guard.on_abort(relay.stop)
    try:
        yield relay
    finally:
        take_back()
        relay.close()


def _parsed(text: str) -> Any:
    """What is no JSON is noise like any."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _reason(rest: list[Any]) -> str:
    told = rest[0] if rest and isinstance(rest[0], str) else ""
    printable = "".join(letter for letter in told if letter.isprintable()).strip()
    return printable[:LONGEST_REASON] or "no reason given"


def _taken(kept: bool, reason: str) -> Taken:
    if reason.startswith("duplicate"):
        return Taken("duplicate", reason)
    return Taken("accepted") if kept else Taken("refused", reason)
