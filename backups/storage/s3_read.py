"""Reads one S3 object by ranges, two ahead of the reader, each retried where the connection was lost."""

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from botocore.exceptions import IncompleteReadError

from backups.storage.parts import MIB
from backups.storage.s3_calls import call
from jobs.errors import BackupError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

PIECE = 16 * MIB
AHEAD = 2
_BLOCK = MIB // 4


@contextmanager
def open_ranges(
    client: "S3Client",
    *,
    bucket: str,
    key: str,
    etag: str,
    start: int,
    end: int,
    piece: int = PIECE,
    **version: Any,
) -> Iterator["RangeReader"]:
    """A reader over the bytes from `start` up to `end` of the object that has `etag`; one that changes is an error.

    `version` is S3's VersionId where it is that one which is read.
    """
    wanted = {"Bucket": bucket, "Key": key, "IfMatch": etag, **version}
    reader = RangeReader(client, key=key, wanted=wanted, start=start, end=end, piece=piece)
    try:
        yield reader
    finally:
        reader.close()


class RangeReader:
    """Holds at most three pieces: the one being read and two on their way."""

    def __init__(
        self, client: "S3Client", *, key: str, wanted: dict[str, Any], start: int, end: int, piece: int
    ) -> None:
        self._client, self._key, self._wanted = client, key, wanted
        self._next, self._end, self._piece = start, end, piece
        self._stop = threading.Event()
        self._fetchers = ThreadPoolExecutor(AHEAD, thread_name_prefix="s3-range")
        self._coming: deque[Future[memoryview]] = deque()
        self._spare: list[bytearray] = []
        self._current = memoryview(b"")

    def readinto(self, buffer: bytearray | memoryview) -> int:
        filled = 0
        with memoryview(buffer) as wanted:
            while filled < len(wanted) and self._advance():
                count = min(len(wanted) - filled, len(self._current))
                wanted[filled : filled + count] = self._current[:count]
                self._current = self._current[count:]
                filled += count
        return filled

    def close(self) -> None:
        self._stop.set()
        self._fetchers.shutdown(cancel_futures=True)

    def _advance(self) -> bool:
        """Makes sure that there are bytes in hand; False at the end."""
        if self._current:
            return True
        if isinstance(self._current.obj, bytearray):
            self._spare.append(self._current.obj)
            self._current = memoryview(b"")
        while self._next < self._end and len(self._coming) < AHEAD:
            size = min(self._piece, self._end - self._next)
            buffer = self._spare.pop() if self._spare else bytearray(size)
            self._coming.append(self._fetchers.submit(self._fetch, self._next, memoryview(buffer)[:size]))
            self._next += size
        if not self._coming:
            return False
        self._current = self._coming.popleft().result()
        return True

    def _fetch(self, position: int, view: memoryview) -> memoryview:
        done = 0

        def fetch_the_rest() -> None:
            nonlocal done
            first, last = position + done, position + len(view) - 1
            answer = self._client.get_object(Range=f"bytes={first}-{last}", **self._wanted)
            with closing(answer["Body"]) as body:
                if not answer.get("ContentRange", "").startswith(f"bytes {first}-{last}/"):
                    raise BackupError(
                        f"{self._key}: the store did not give the range asked for.", code="object_truncated"
                    )
                while done < len(view) and not self._stop.is_set():
                    count = body.readinto(view[done : done + _BLOCK])  # type: ignore[arg-type]
                    if not count:
                        raise IncompleteReadError(actual_bytes=done, expected_bytes=len(view))
                    done += count

        call(fetch_the_rest, what=self._key, patience=self._stop)
        return view
