"""A tar as it streams in, member by member, strict: what our own writer would not have made is damage.

Sources: POSIX.1-2001 pax (`ustar` header blocks, extended headers of type x). Every number read is bounded before
memory is taken for it, so that a crafted archive costs no more than a sound one.
"""

import tarfile
from collections.abc import Callable
from dataclasses import dataclass

from databases.engines.base import Readable
from databases.engines.s3_bucket.structure import damaged
from databases.engines.s3_bucket.tarformat import BLOCK, END

SKIP = 1 << 20
LARGEST_EXTENDED = 256 << 10  # a key is 1 KiB, metadata 2 KiB (other stores: some more), all percent-encoded
LARGEST_OBJECT = 5 << 40  # S3's limit
_SIZE, _TYPE = slice(124, 136), slice(156, 157)
_EXTENDED, _REGULAR = b"x", b"0"
_DIGITS = 20


@dataclass(frozen=True)
class Member:
    """One regular file. `pax` are the extended header's records, the standard ones included."""

    name: str
    size: int
    pax: dict[str, str]


class TarReader:
    """Reads one tar from a source. Raises BackupError(code="structure") at the first thing that is not in order.

    The source's own errors pass through. `check` is called between blocks and may raise.
    """

    def __init__(self, source: Readable, check: Callable[[], None]) -> None:
        self._source = source
        self._check = check
        self._left = 0  # bytes of the current member that were not read
        self._padding = 0
        self._skipped = bytearray()

    def next(self) -> Member | None:
        """The next member; what was not read of the one before is skipped. None at the verified end of the source."""
        self._skip()
        header = self._block()
        if header == bytes(BLOCK):
            self._require_end()
            return None
        pax: dict[str, str] = {}
        if header[_TYPE] == _EXTENDED:
            size = _octal(header)
            if not 0 < size <= LARGEST_EXTENDED:
                raise damaged("A pax header of the tar is empty or absurdly large.")
            pax = _records(self._exactly(size))
            self._zeros(-size % BLOCK)
            header = self._block()
        if header[_TYPE] != _REGULAR:
            raise damaged("The tar holds something that is no regular file.")
        member = _member(header, pax)
        self._left, self._padding = member.size, -member.size % BLOCK
        return member

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Fills the buffer with the current member's bytes; a short count is its end."""
        self._check()
        wanted = min(len(buffer), self._left)
        if wanted:
            with memoryview(buffer)[:wanted] as view:
                if self._source.readinto(view) < wanted:
                    raise damaged("The tar ends in the middle of a member.")
            self._left -= wanted
        return wanted

    def _skip(self) -> None:
        if self._left and not self._skipped:
            self._skipped = bytearray(SKIP)
        while self._left:
            self.readinto(self._skipped)
        self._zeros(self._padding)
        self._padding = 0

    def _zeros(self, count: int) -> None:
        if count and any(self._exactly(count)):
            raise damaged("The padding of a member is not empty.")

    def _block(self) -> bytes:
        self._check()
        block = self._exactly(BLOCK)
        if any(block):
            _require_checksum(block)
        return block

    def _exactly(self, count: int) -> bytes:
        """For small counts only."""
        buffer = bytearray(count)
        if self._source.readinto(buffer) < count:
            raise damaged("The tar ends too early.")
        return bytes(buffer)

    def _require_end(self) -> None:
        if any(self._exactly(len(END) - BLOCK)):
            raise damaged("The tar does not end with two empty blocks.")
        if self._source.readinto(bytearray(1)):
            raise damaged("Bytes follow the end of the tar.")


def _require_checksum(block: bytes) -> None:
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise damaged("A header of the tar is damaged.") from error


def _octal(header: bytes) -> int:
    """The size field. Binary (GNU) numbers, which can be negative, are none of ours."""
    digits = header[_SIZE].strip(b"\0 ")
    if not digits.isdigit() or set(digits) & set(b"89"):
        raise damaged("A size in the tar is no octal number.")
    return int(digits, 8)


def _member(header: bytes, pax: dict[str, str]) -> Member:
    info = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
    size = _decimal(pax["size"]) if "size" in pax else _octal(header)
    if size > LARGEST_OBJECT:
        raise damaged("A member of the tar is larger than an object can be.")
    return Member(name=pax.get("path", info.name), size=size, pax=pax)


def _decimal(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > _DIGITS:
        raise damaged("A size in a pax header is no number.")
    return int(text)


def _records(data: bytes) -> dict[str, str]:
    """`length key=value\\n`, where the length counts itself."""
    found: dict[str, str] = {}
    position = 0
    while position < len(data):
        space = data.find(b" ", position, position + _DIGITS)
        digits = data[position:space] if space > 0 else b""
        if not digits.isdigit():
            raise damaged("A record of a pax header has no length.")
        end = position + int(digits)
        if not space < end <= len(data) or data[end - 1 : end] != b"\n":
            raise damaged("A record of a pax header is longer than its header.")
        name, equals, value = data[space + 1 : end - 1].partition(b"=")
        try:
            text = name.decode()
            if not equals or not name or text in found:
                raise damaged("A record of a pax header has no name, or one that was there before.")
            found[text] = value.decode()
        except UnicodeDecodeError as error:
            raise damaged("A record of a pax header is not UTF-8.") from error
        position = end
    return found
