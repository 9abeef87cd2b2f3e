"""`python -m benchmarks.age`: the age stage beside pyrage, and how often another thread gets to run meanwhile."""

import os
import threading
import time
from collections.abc import Callable

import pyrage

from backups.pipeline.encode import encode
from backups.pipeline.encoding import Encoding

MIB = 1 << 20
SIZE = 400 * MIB
BLOCK = os.urandom(MIB)


class Source:
    """SIZE bytes: by `read` for pyrage, by `readinto` for the pipeline."""

    def __init__(self) -> None:
        self.left = SIZE

    def read(self, count: int = -1) -> bytes:
        count = min(count, MIB, self.left)
        self.left -= count
        return BLOCK[:count]

    def readinto(self, buffer: bytearray | memoryview) -> int:
        block = self.read(len(buffer))
        memoryview(buffer)[: len(block)] = block
        return len(block)


class Sink:
    def write(self, block: bytes) -> int:
        return len(block)

    def flush(self) -> None:
        pass


def through_pyrage(recipient: pyrage.x25519.Recipient) -> None:
    pyrage.encrypt_io(Source(), Sink(), [recipient])


def through_the_pipeline(recipient: pyrage.x25519.Recipient) -> None:
    block = bytearray(MIB)
    with encode(Source(), encoding=Encoding(compression="none", recipients=(str(recipient),))) as artefact:
        while artefact.readinto(block) == MIB:
            pass


def measure(name: str, work: Callable[[], None]) -> None:
    ended, turns = threading.Event(), 0

    def other_stage() -> None:
        nonlocal turns
        while not ended.is_set():
            turns += 1
            time.sleep(0.0005)

    thread = threading.Thread(target=other_stage)
    thread.start()
    began = time.monotonic()
    work()
    seconds = time.monotonic() - began
    ended.set()
    thread.join()
    print(f"{name:28} {SIZE / seconds / 1e6:6.0f} MB/s   another thread ran {turns / seconds:6.0f} times a second")


def main() -> None:
    recipient = pyrage.x25519.Identity.generate().to_public()
    for _ in range(3):
        measure("pyrage", lambda: through_pyrage(recipient))
        measure("pipeline, with three digests", lambda: through_the_pipeline(recipient))


if __name__ == "__main__":
    main()
