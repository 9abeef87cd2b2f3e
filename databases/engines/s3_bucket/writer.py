"""Writes objects into a bucket over many connections, from one stream, in bounded memory."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from databases.engines.base import Guard
from databases.engines.s3_bucket.faults import shown
from databases.engines.s3_bucket.put import MIB, Upload, Way, part_size, put
from databases.engines.s3_bucket.sockets import Sockets
from databases.engines.s3_bucket.tarformat import SMALL
from jobs.errors import BackupError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

MOST_BYTES = 64 * MIB  # read from the stream and not yet stored; a large part may come twice
POLL_S = 0.2
GRACE_S = 10.0
Read = Callable[[memoryview], int]
Note = Callable[[dict[str, str]], object]


class Writer:
    """One thread reads the stream and calls `write`; `parallel` others send.

    The object written last is held back: it appears with the next one, or by `flush`, and `drop` undoes it. So a copy
    that turns out void is never there, and a source that fails at its end never gave the bucket its last object.
    """

    def __init__(self, way: Way, pool: ThreadPoolExecutor, guard: Guard, note: Note) -> None:
        self.held_key: str | None = None
        self.written = 0
        self._way, self._pool, self._guard, self._note = way, pool, guard, note
        self._appear: Callable[[], object] = _nothing
        self._forget: Callable[[], object] = _nothing
        self._running: set[Future[None]] = set()
        self._uploads: dict[str, Upload] = {}
        self._bytes = 0
        self._lock = threading.Lock()
        self._freed = threading.Condition(self._lock)
        self._failure: BaseException | None = None

    def write(self, key: str, size: int, arguments: dict[str, Any], read: Read) -> None:
        """Reads `size` bytes with `read`, and holds the object back; the one held before appears.

        Raises what the guard, `read` or any earlier request raised.
        """
        self.release()
        if size > SMALL:
            self._hold_upload(key, size, arguments, read)
        else:
            body = self._read(size, read)
            self._appear = partial(self._submit, partial(self._put, key, body, arguments))
            self._forget = partial(self._give_back, size)
        self.held_key = key

    def release(self) -> None:
        """Lets the held object appear."""
        if self.held_key is not None:
            self.held_key = None
            self.written += 1
            self._appear()

    def drop(self) -> None:
        """The held object never appears."""
        self.held_key = None
        self._forget()

    def flush(self) -> None:
        """All objects are there when it returns."""
        self.release()
        self.settle()

    def settle(self) -> None:
        """Waits for every request in flight."""
        while running := self._unfinished():
            wait(running, timeout=POLL_S)
            self.check()
        self.check()

    def do(self, job: Callable[[], None]) -> None:
        """Runs a small request on one of the threads."""
        self.check()
        while len(self._unfinished()) >= 1000:
            wait(self._unfinished(), timeout=POLL_S, return_when="FIRST_COMPLETED")
            self.check()
        self._submit(job)

    def check(self) -> None:
        """Raises when the job has to stop, or a request has failed."""
        self._guard.check()
        if self._failure is not None:
            raise self._failure

    def abort_uploads(self, error: BaseException) -> None:
        """After the threads have ended. What cannot be removed is said with the error."""
        for upload in list(self._uploads.values()):
            try:
                upload.abort()
            except BackupError as failure:
                self._guard.log(
                    f"the unfinished upload {upload.id} of {shown(upload.key)} could not be aborted: {failure}"
                )
                error.add_note(f"The upload {upload.id} could not be aborted: {failure}")

    def _put(self, key: str, body: bytearray, arguments: dict[str, Any]) -> None:
        put(self._way, key, body, arguments)
        self._give_back(len(body))

    def _hold_upload(self, key: str, size: int, arguments: dict[str, Any], read: Read) -> None:
        upload = Upload(self._way, key, size, arguments)
        self._uploads[upload.id] = upload
        self._guard.log(f"upload {upload.id} of {shown(key)} begun")
        self._note({one.id: quote(one.key) for one in list(self._uploads.values())})  # a NUL is no text everywhere
        parts: list[Future[None]] = []
        left = size
        while left:
            body = self._read(min(left, part_size(len(parts) + 1)), read)
            left -= len(body)
            parts.append(self._submit(partial(self._send, upload, len(parts) + 1, body)))
        self._appear = partial(self._submit, partial(self._end, upload, parts, upload.complete))
        self._forget = partial(self._submit, partial(self._end, upload, parts, upload.abort))

    def _send(self, upload: Upload, number: int, body: bytearray) -> None:
        upload.send(number, body)
        self._give_back(len(body))

    def _end(self, upload: Upload, parts: list["Future[None]"], last: Callable[[], None]) -> None:
        """The pool is first in, first out: the parts were begun before, so waiting for them always ends."""
        for part in parts:
            part.result()
        last()
        del self._uploads[upload.id]

    def _read(self, size: int, read: Read) -> bytearray:
        with self._freed:
            while self._bytes + size > max(MOST_BYTES, 2 * size):
                self._freed.wait(POLL_S)
                self.check()
            self._bytes += size
        body = bytearray(size)
        with memoryview(body) as view:
            for start in range(0, size, MIB):
                self.check()
                with view[start : start + MIB] as block:
                    read(block)
        return body

    def _give_back(self, size: int) -> None:
        with self._freed:
            self._bytes -= size
            self._freed.notify_all()

    def _submit(self, job: Callable[[], None]) -> "Future[None]":
        future = self._pool.submit(job)
        with self._lock:
            self._running.add(future)
        future.add_done_callback(self._done)
        return future

    def _done(self, future: "Future[None]") -> None:
        with self._freed:
            self._running.discard(future)
            if not future.cancelled() and self._failure is None:
                self._failure = future.exception()
            self._freed.notify_all()

    def _unfinished(self) -> set["Future[None]"]:
        with self._lock:
            return set(self._running)


def _nothing() -> None:
    """Nothing is held."""


@contextmanager
def writing(
    *, data: "S3Client", control: "S3Client", bucket: str, parallel: int, guard: Guard, note: Note
) -> Iterator[Writer]:
    """Leaving it early ends the requests in flight, and every upload that is open."""
    stop = threading.Event()
    with _ending(stop, Sockets(data), Sockets(control)) as end, ExitStack() as stack:
        pool = ThreadPoolExecutor(parallel, thread_name_prefix="s3-put")
        writer = Writer(Way(data, control, bucket, stop), pool, guard, note)
        stack.callback(guard.on_abort(end))
        try:
            yield writer
        except BaseException as error:
            end()
            pool.shutdown(cancel_futures=True)
            writer.abort_uploads(error)
            raise
        pool.shutdown()


@contextmanager
def _ending(stop: threading.Event, data: Sockets, control: Sockets) -> Iterator[Callable[[], None]]:
    """What ends all requests: those that carry data at once, the others after GRACE_S each."""
    over = threading.Event()
    late = threading.Thread(target=_cut_late, args=(control, stop, over), name="s3-stop", daemon=True)
    late.start()

    def end() -> None:
        stop.set()
        data.cut(forever=True)

    try:
        yield end
    finally:
        over.set()
        stop.set()
        late.join()


def _cut_late(control: Sockets, stop: threading.Event, over: threading.Event) -> None:
    stop.wait()
    while not over.wait(GRACE_S):
        control.cut(forever=False)
