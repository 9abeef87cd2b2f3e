"""The one way bytes are handed over: `readinto`, pulled by whoever stores them."""

from typing import IO, Any, Protocol


class Reader(Protocol):
    """`readinto(buffer)` returns the count of bytes put in, 0 only at the verified end, and may raise."""

    def readinto(self, buffer: bytearray | memoryview, /) -> int: ...


def fill(reader: Reader, buffer: memoryview) -> int:
    """Fills the whole buffer unless the stream ends; a short read is never taken for that end."""
    filled = 0
    while filled < len(buffer):
        count = reader.readinto(buffer[filled:])
        if not count:
            break
        filled += count
    return filled


class BytesReader:
    """A reader over bytes that are already in memory."""

    def __init__(self, content: bytes) -> None:
        self._rest = memoryview(content)

    def readinto(self, buffer: bytearray | memoryview) -> int:
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


class _ReadReader:
    """A reader over an object that has `read(n)` only."""

    def __init__(self, content: IO[Any]) -> None:
        self._content = content

    def readinto(self, buffer: bytearray | memoryview) -> int:
        # A text file may return four bytes per character.
        found = self._content.read(max(1, len(buffer) // 4))
        block = found.encode() if isinstance(found, str) else found
        buffer[: len(block)] = block
        return len(block)


def reader_of(content: IO[Any]) -> Reader:
    """A reader over whatever Django's `save` is given, from its beginning where it can seek."""
    if hasattr(content, "seek") and content.seekable():
        content.seek(0)
    return content if hasattr(content, "readinto") else _ReadReader(content)
