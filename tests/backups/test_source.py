"""What an engine reads of an artefact, and what the lease hears of it."""

from typing import Any, cast

from backups.pipeline.decode import DecodedReader
from backups.services.source import PlainSource
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

    def readinto(self, buffer: bytearray) -> int:
        count = min(len(buffer), self.left)
        self.left -= count
        return count


def test_after_the_last_byte_the_run_may_be_silent_for_long() -> None:
    lease = HeardLease()
    source = PlainSource(cast(DecodedReader, TenBytes()), {}, cast(Lease, lease))
    for _ in range(3):
        source.readinto(bytearray(8))
    assert lease.heard == [8, ("finish", False), 10, 10]
