"""Looking at the beginning of an archive without losing it."""

from databases.engines.base import Readable
from databases.engines.mongodb.archive import Archive, Member, damaged

BLOCK = 1 << 20
PRELUDE_LIMIT = 512 << 20


class PeekedSource:
    """A source whose prelude has been read: `members` are the collections it announces."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._beginning = bytearray()
        self._at = 0
        self._ended = False
        archive = Archive()
        while archive.members is None:
            block = bytearray(BLOCK)
            count = source.readinto(block)
            self._beginning += block[:count]
            archive.feed(memoryview(block)[:count])
            self._ended = count < BLOCK
            if self._ended or len(self._beginning) > PRELUDE_LIMIT:
                break
        if archive.members is None:
            raise damaged("The archive ends within its prelude.")
        self.members: tuple[Member, ...] = archive.members

    def readinto(self, buffer: bytearray | memoryview) -> int:
        view = memoryview(buffer)
        known = memoryview(self._beginning)[self._at : self._at + len(view)]
        view[: len(known)] = known
        self._at += len(known)
        count = len(known)
        if count < len(view) and not self._ended:
            got = self._source.readinto(view[count:])
            self._ended = got < len(view) - count
            count += got
        return count
