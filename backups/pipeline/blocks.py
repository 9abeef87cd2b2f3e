"""What flows through the pipeline: blocks of bytes in buffers that are used again."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Protocol

from backups.pipeline.threads import DEPTH, Channel, Threads

BLOCK_SIZE = 1 << 20


class Hash(Protocol):
    def update(self, data: memoryview, /) -> object: ...
    def hexdigest(self) -> str: ...


class Readable(Protocol):
    def readinto(self, buffer: memoryview, /) -> int: ...


@dataclass(slots=True)
class Block:
    """Some bytes and the buffer they lie in. Whoever is done with the bytes calls `release` once."""

    data: memoryview
    buffer: bytearray
    ring: Channel[bytearray]

    def release(self) -> None:
        self.ring.put(self.buffer)


class Ring:
    """A fixed number of buffers; `take` waits for one that was released. This is what bounds the memory."""

    def __init__(self, threads: Threads, *, size: int = BLOCK_SIZE, count: int = DEPTH + 2) -> None:
        self._free: Channel[bytearray] = threads.channel(count)
        for _ in range(count):
            self._free.put(bytearray(size))

    def take(self) -> bytearray:
        return self._free.get()

    def block(self, buffer: bytearray, size: int) -> Block:
        return Block(memoryview(buffer)[:size], buffer, self._free)


class Meter:
    """Counts and hashes what passes. `ended` once the stream was seen to its end."""

    def __init__(self, *hashes: Hash) -> None:
        self.size = 0
        self.ended = False
        self._hashes = hashes

    def watch(self, blocks: Iterable[Block]) -> Iterator[Block]:
        for block in blocks:
            for digest in self._hashes:
                digest.update(block.data)
            self.size += len(block.data)
            yield block
        self.ended = True


def fill(source: Readable, ring: Ring) -> Iterator[Block]:
    """Reads full blocks until the source says 0; only the last one may be shorter."""
    at_end = False
    while not at_end:
        buffer = ring.take()
        view = memoryview(buffer)
        size = 0
        while size < len(buffer) and not at_end:
            count = source.readinto(view[size:])
            size += count
            at_end = count == 0
        if size:
            yield ring.block(buffer, size)


def pack(pieces: Iterable[bytes], ring: Ring) -> Iterator[Block]:
    """Gathers pieces of any size into full blocks."""
    buffer, size = ring.take(), 0
    for piece in pieces:
        left = memoryview(piece)
        while left:
            part = left[: len(buffer) - size]
            buffer[size : size + len(part)] = part
            size, left = size + len(part), left[len(part) :]
            if size == len(buffer):
                yield ring.block(buffer, size)
                buffer, size = ring.take(), 0
    if size:
        yield ring.block(buffer, size)


def tapped(blocks: Iterable[Block], taps: Iterable[Callable[[memoryview], None]]) -> Iterator[Block]:
    for block in blocks:
        for tap in taps:
            tap(block.data.toreadonly())
        yield block


class BlockReader:
    """Blocks as a strict file: `read` and `readinto` fill what was asked until the end, and then raise or say 0.

    `pull` gives the next block; it raises StopIteration at the verified end and anything else for a failure, which is
    then raised by every later call too.
    """

    def __init__(self, pull: Callable[[], Block]) -> None:
        self._pull = pull
        self._block: Block | None = None
        self._left = memoryview(b"")
        self._position = 0
        self._ended = False
        self._error: BaseException | None = None

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """A short count is the end. Raises the failure of any stage before that."""
        view = memoryview(buffer).cast("B")
        size = 0
        while size < len(view) and not self.at_end():
            part = self._left[: len(view) - size]
            view[size : size + len(part)] = part
            size += len(part)
            self._left = self._left[len(part) :]
        self._position += size
        return size

    def read(self, size: int | None = -1) -> bytes:
        """Exactly `size` bytes unless the end comes first; all that is left for -1."""
        out = BytesIO()
        missing = -1 if size is None else size
        while missing and not self.at_end():
            part = self._left if missing < 0 else self._left[:missing]
            out.write(part)
            self._left = self._left[len(part) :]
            missing -= len(part) if missing > 0 else 0
        self._position += out.tell()
        return out.getvalue()

    def at_end(self) -> bool:
        """Whether nothing follows. Waits for the next block where none is at hand."""
        if self._error is not None:
            raise self._error
        while not self._left and not self._ended:
            try:
                self._next()
            except StopIteration:
                self._ended = True
            except BaseException as error:
                self._error = error
                raise
        return not self._left

    def _next(self) -> None:
        if self._block is not None:
            block, self._block, self._left = self._block, None, memoryview(b"")
            block.release()
        self._block = self._pull()
        self._left = self._block.data

    def tell(self) -> int:
        return self._position

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False
