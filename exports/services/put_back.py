"""Put the events of an export back: publish each to relays, and report what every relay said."""

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, BinaryIO

from django.conf import settings

from backups.pipeline.decode import decode
from exports.nostr.bundle import Bundle
from exports.nostr.event import Event
from exports.nostr.relay import Relay, Taken
from jobs.errors import BackupError

WINDOW = 50  # events on their way to a relay
MOST_NAMED = 1000  # refused events in a report; all are counted
TIMEOUT_S = 30.0
PAUSES_S = (1.0, 5.0, 20.0)  # before what a relay was too busy for, or did not answer, is sent again
AGE_MAGIC = b"age-encryption.org/"
_BUSY = ("rate-limited", "error")
_BLOCK = 1 << 20


@dataclass
class _Target:
    """One relay, and what it said."""

    relay: Relay
    counts: Counter[str] = field(default_factory=Counter)
    refused: list[dict[str, str]] = field(default_factory=list)
    failure: BackupError | None = None

    def report(self) -> dict[str, Any]:
        failed = {"error": self.failure.message, "code": self.failure.code} if self.failure else {}
        names = ("accepted", "duplicate", "refused", "unanswered")
        return {
            "url": self.relay.url,
            **{name: self.counts[name] for name in names},
            "refused_events": self.refused,
            **failed,
        }


def put_back_export(
    *,
    archive: Path,
    relays: Sequence[str],
    identities: Sequence[str] = (),
    timeout_s: float = TIMEOUT_S,
    pauses_s: Sequence[float] = PAUSES_S,
    on_progress: Callable[[int], None] = lambda count: None,
) -> dict[str, Any]:
    """The report, as docs/exports.md specifies it; `complete` is True when every relay has every event now.

    `on_progress` is told how many events were handled. Raises BackupError: not_an_export, no_events, damaged,
    missing_key, wrong_key, and of an encrypted zip what `decode` raises.
    """
    with ExitStack() as stack:
        bundle = Bundle(stack.enter_context(_opened(archive, identities)))
        stack.callback(bundle.close)
        targets = [_Target(_relay(url, timeout_s)) for url in relays]
        for target in targets:
            stack.callback(target.relay.close)
        sent = 0
        for events in _windows(bundle.events()):
            for target in targets:
                _publish(target, events, pauses_s)
            sent += len(events)
            on_progress(sent)
        found = bundle.contents
    told = [target.report() for target in targets]
    return {
        "schema_version": 1,
        "pubkey": bundle.pubkey,
        "events": sent,
        "invalid": found.invalid,
        "foreign": found.foreign,
        "files": found.files,
        "relays": told,
        "complete": all(one["refused"] == one["unanswered"] == 0 for one in told)
        and not (found.invalid or found.foreign)
        and all(one["as_indexed"] for one in found.files),
    }


def _publish(target: _Target, events: list[Event], pauses_s: Sequence[float]) -> None:
    """Again where that may help. A relay that failed to the end is not tried any more."""
    waiting, taken, silent = {event.id: event for event in events}, dict[str, Taken](), 0
    for pause in (*pauses_s, None):
        if target.failure is not None:
            break
        fresh: dict[str, Taken] = {}
        failure = None
        try:
            target.relay.publish(list(waiting.values()), fresh)
        except BackupError as error:
            failure = error
            target.relay.close()
        taken |= fresh
        waiting = {key: event for key, event in waiting.items() if key not in taken or _is_busy(taken[key])}
        if not waiting:
            break
        silent += failure is not None and failure.code == "timeout"
        if pause is None or silent > 1:
            target.failure = None if taken else failure  # some relays never answer to what they refuse
            break
        time.sleep(pause)
    for event in events:
        said = taken.get(event.id, Taken("unanswered"))
        target.counts[said.outcome] += 1
        if said.outcome == "refused" and len(target.refused) < MOST_NAMED:
            target.refused.append({"id": event.id, "reason": said.reason})


def _is_busy(said: Taken) -> bool:
    return said.outcome == "refused" and said.reason.startswith(_BUSY)


def _relay(url: str, timeout_s: float) -> Relay:
    options: Mapping[str, Any] = settings.BACKUPSITE_ENGINE_SETTINGS
    return Relay(url, options, lambda: None, timeout_s=timeout_s)


def _windows(events: Iterable[Event]) -> Iterator[list[Event]]:
    iterator = iter(events)
    while window := list(itertools.islice(iterator, WINDOW)):
        yield window


@contextmanager
def _opened(archive: Path, identities: Sequence[str]) -> Iterator[BinaryIO]:
    """The zip; an encrypted one is decrypted into a temporary file, as a zip is read from its end."""
    with archive.open("rb") as stored:
        if stored.read(len(AGE_MAGIC)) != AGE_MAGIC:
            stored.seek(0)
            yield stored
            return
        stored.seek(0)
        with NamedTemporaryFile(dir=archive.parent, prefix=".put-back-") as plain:
            with decode(stored, compression="none", encrypted=True, identities=identities) as reader:
                while block := reader.read(_BLOCK):
                    plain.write(block)
            plain.seek(0)
            yield plain  # type: ignore[misc]  # a wrapper around a binary file
