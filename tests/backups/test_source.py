"""What an engine reads of an artefact, and what the lease hears of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from backups.models import Copy
from backups.services.source import PlainSource, Reading
from databases.engines.base import Readable
from jobs.lease import Lease


class HeardLease:
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def phase(self, name: str, *, moves_bytes: bool) -> None:
        self.heard.append((name, moves_bytes))

    def progress(self, done: int) -> None:
        self.heard.append(done)


class TenBytes:
    def __init__(self) -> None:
        self.left = 10

    def readinto(self, buffer: bytearray | memoryview) -> int:
        count = min(len(buffer), self.left)
        self.left -= count
        return count


def source(lease: HeardLease, reading: Reading) -> PlainSource:
    @contextmanager
    def opened() -> Iterator[Readable]:
        lease.heard.append("opened")
        yield TenBytes()
        lease.heard.append("closed")

    return PlainSource(copy=Copy(), manifest={}, opened=opened(), open_index=opened, reading=reading)


def test_after_the_last_byte_the_run_may_be_silent_for_long() -> None:
    lease = HeardLease()
    single = source(lease, Reading(cast(Lease, lease), 1))
    counts = [single.readinto(bytearray(8)) for _ in range(3)]
    assert counts == [8, 2, 0]
    assert lease.heard == ["opened", 8, ("finish", False), "closed", 10]


def test_a_chain_is_opened_one_source_at_a_time_and_counted_as_one() -> None:
    lease = HeardLease()
    reading = Reading(cast(Lease, lease), 2)
    for part in (source(lease, reading), source(lease, reading)):
        part.readinto(bytearray(16))
    assert lease.heard == ["opened", "closed", 10, "opened", ("finish", False), "closed", 20]
