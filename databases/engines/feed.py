"""Writing an artefact's plain stream into a tool's stdin."""

from collections.abc import Callable

from databases.engines.base import Guard, Readable
from databases.engines.process import Process

BLOCK = 1 << 20


def feed(source: Readable, process: Process, guard: Guard) -> bool:
    """Writes the source to the child's stdin and closes it. False when the tool stopped reading before the end.

    `guard.check()` runs before every write. One block is held back until the source has said that there is more, or
    that its end is verified: a tool that knows its own end never sees the last bytes of a damaged artefact. A tool
    that exits early is not an error here: `process.finish()` tells its own words, if it failed at all.
    """
    held, spare = bytearray(BLOCK), bytearray(BLOCK)
    count = source.readinto(held)
    while count:
        following = source.readinto(spare) if count == BLOCK else 0
        guard.check()
        if not write_all(process, memoryview(held)[:count]):
            return False
        held, spare, count = spare, held, following
    process.stdin.close()
    return True


def write_all(process: Process, block: memoryview) -> bool:
    """False when the tool has closed its end."""
    try:
        while block:
            block = block[process.stdin.write(block) :]
    except BrokenPipeError:
        return False
    return True


def drain(source: Readable, check: Callable[[], None]) -> int:
    """Reads a source to its verified end and returns how many bytes that were."""
    buffer = bytearray(BLOCK)
    total = 0
    while True:
        check()
        count = source.readinto(buffer)
        total += count
        if count < BLOCK:
            return total
