"""Archives as streams: zip and tar. No member is held in memory.

Zip is Python's own `zipfile` over a sink that cannot seek: sizes and CRC follow each member in a data descriptor, and
ZIP64 is used where a size, an offset or the count asks for it, or where a size is not known before. Tar is POSIX pax
(`tarfile`'s headers).
"""

import tarfile
import zipfile
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from tarfile import BLOCKSIZE, RECORDSIZE

Piece = bytes | memoryview
Writer = Callable[[Iterable["Entry"]], Generator[Piece, None, None]]

MODE = 0o600  # artefacts are nobody else's business where they are unpacked, either


@dataclass(frozen=True)
class Entry:
    """A file to be archived: exactly `size` bytes come out of `blocks`, each used up before the next is asked for.

    A zip takes one whose `size` is not known (None). `deflate` compresses it on its way, in a zip.
    """

    name: str
    size: int | None
    modified: datetime
    blocks: Iterable[Piece]
    deflate: bool = False


class _Sink:
    """Where `zipfile` writes: keeps what comes until it is taken. Has neither `tell` nor `seek`, on purpose."""

    def __init__(self) -> None:
        self._pieces: list[Piece] = []

    def write(self, piece: Piece) -> int:
        self._pieces.append(piece)
        return len(piece)

    def flush(self) -> None:
        """Nothing waits here but what `take` gives."""

    def take(self) -> Iterator[Piece]:
        pieces, self._pieces = self._pieces, []
        return iter(pieces)


def zip_stream(entries: Iterable[Entry]) -> Generator[Piece, None, None]:
    """One zip of all entries."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]  # needs no seek
        for entry in entries:
            info = zipfile.ZipInfo(entry.name, entry.modified.astimezone(UTC).timetuple()[:6])
            info.external_attr = MODE << 16
            info.file_size = entry.size or 0  # says whether the member needs ZIP64
            info.compress_type = zipfile.ZIP_DEFLATED if entry.deflate else zipfile.ZIP_STORED
            with archive.open(info, "w", force_zip64=entry.size is None) as member:
                for block in entry.blocks:
                    member.write(block)
                    yield from sink.take()
            yield from sink.take()
    yield from sink.take()


def tar_stream(entries: Iterable[Entry]) -> Generator[Piece, None, None]:
    """One tar of all entries, with its end marked and filled to a whole record. Each has to know its size."""
    size = 0
    for entry in entries:
        assert entry.size is not None
        info = tarfile.TarInfo(entry.name)
        info.size, info.mode, info.mtime = entry.size, MODE, int(entry.modified.timestamp())
        header = info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        yield header
        yield from entry.blocks
        padding = -entry.size % BLOCKSIZE
        yield bytes(padding)
        size += len(header) + entry.size + padding
    end = size + 2 * BLOCKSIZE
    yield bytes(2 * BLOCKSIZE + -end % RECORDSIZE)


class PieceReader:
    """Pieces as a strict reader: a short count is the end."""

    def __init__(self, pieces: Iterator[Piece]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")

    def readinto(self, buffer: bytearray | memoryview) -> int:
        size = 0
        with memoryview(buffer) as view:
            while size < len(view):
                if not self._left:
                    piece = next(self._pieces, None)
                    if piece is None:
                        break
                    self._left = memoryview(piece)
                part = self._left[: len(view) - size]
                view[size : size + len(part)] = part
                size += len(part)
                self._left = self._left[len(part) :]
        return size
