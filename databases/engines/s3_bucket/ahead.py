"""Downloads that run ahead of the writer, in its order and within a budget of memory."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from concurrent.futures import TimeoutError as NotYet
from typing import TypeVar

from databases.engines.base import Guard
from databases.engines.s3_bucket.changes import Step, Wanted
from databases.engines.s3_bucket.fetch import PIECE, Begun, Changed, begin, buffer_of, rest
from databases.engines.s3_bucket.tarformat import SMALL, Facts
from databases.engines.s3_bucket.wire import Wire

T = TypeVar("T")

BUDGET = 64 << 20  # bytes in buffers: read, being read, or about to be
_STEPS = 2000  # those without a download too
_PER_CONNECTION = 8  # downloads that wait or run, for each connection
_POLL_S = 1.0


class Loading:
    """A step, and what is on its way for it. All but `step` are of a Wanted only."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.first: Future[Begun] | None = None
        self.pieces: deque[tuple[int, Future[memoryview]]] = deque()  # with their length
        self.planned = 0  # up to which byte
        self.as_planned = True
        self.held = 0  # bytes of the budget
        self.downloads = 0


class Ahead:
    """Gives the steps in their order; `begun` and `piece` wait for their bytes.

    The pieces of a large object are planned by the size that the listing says, before anything that follows it: what
    the writer waits for is never behind what fills the budget.
    """

    def __init__(self, wire: Wire, executor: Executor, steps: Iterator[Step], guard: Guard, parallel: int) -> None:
        self._wire, self._executor, self._steps, self._guard = wire, executor, steps, guard
        self._most = parallel * _PER_CONNECTION
        self._queue: deque[Loading] = deque()
        self._held = 0
        self._downloads = 0
        self._growing: Loading | None = None  # the last one of the queue, while pieces of it are not planned

    def __iter__(self) -> Iterator[Loading]:
        while True:
            self._plan()
            if not self._queue:
                return
            loading = self._queue.popleft()
            yield loading
            self._forget(loading)

    def begun(self, loading: Loading) -> Begun:
        """Raises Vanished, BackupError."""
        assert loading.first is not None
        return self._wait(loading.first)

    def again(self, loading: Loading) -> None:
        """Reads it from its beginning, whatever it is by now."""
        assert isinstance(loading.step, Wanted)
        self._forget(loading)
        loading.first = self._executor.submit(begin, self._wire, loading.step.listed.key, loading.step.listed.size)

    def piece(self, loading: Loading, facts: Facts, start: int) -> memoryview:
        """The object's bytes from `start` on, a piece of them. Raises Changed, Vanished, BackupError."""
        assert isinstance(loading.step, Wanted)
        if not loading.as_planned or facts.size != loading.step.listed.size:
            self._forget(loading)
            length = min(PIECE, facts.size - start)
            return self._wait(self._executor.submit(_range, self._wire, facts, start, length))
        self._plan()
        length, coming = loading.pieces.popleft()
        view = self._wait(coming)
        self._release(loading, length, 1)
        return view

    def _forget(self, loading: Loading) -> None:
        """Lets go what was planned for it."""
        for _, coming in loading.pieces:
            coming.cancel()
        loading.pieces.clear()
        loading.first, loading.as_planned = None, False
        self._release(loading, loading.held, loading.downloads)
        if self._growing is loading:
            self._growing = None

    def _wait(self, future: "Future[T]") -> T:
        while True:
            try:
                return future.result(timeout=_POLL_S)
            except NotYet:
                self._guard.check()

    def _plan(self) -> None:
        while len(self._queue) < _STEPS and self._held < BUDGET and self._downloads < self._most:
            if self._growing is not None:
                self._plan_piece(self._growing)
                continue
            step = next(self._steps, None)
            if step is None:
                return
            loading = Loading(step)
            if isinstance(step, Wanted):
                size = step.listed.size
                loading.first = self._executor.submit(begin, self._wire, step.listed.key, size)
                loading.planned = size if size <= SMALL else PIECE
                self._hold(loading, loading.planned)
                self._growing = loading if loading.planned < size else None
            self._queue.append(loading)

    def _plan_piece(self, loading: Loading) -> None:
        assert isinstance(loading.step, Wanted)
        assert loading.first is not None
        size = loading.step.listed.size
        length = min(PIECE, size - loading.planned)
        piece = self._executor.submit(_planned, self._wire, loading.first, size, loading.planned, length)
        loading.pieces.append((length, piece))
        loading.planned += length
        self._hold(loading, length)
        if loading.planned == size:
            self._growing = None

    def _hold(self, loading: Loading, count: int) -> None:
        loading.held += count
        loading.downloads += 1
        self._held += count
        self._downloads += 1

    def _release(self, loading: Loading, count: int, downloads: int) -> None:
        loading.held -= count
        loading.downloads -= downloads
        self._held -= count
        self._downloads -= downloads


def _planned(wire: Wire, first: "Future[Begun]", size: int, start: int, length: int) -> memoryview:
    """Its first bytes were asked for earlier, so they never wait behind this."""
    facts = first.result()[0]
    if facts.size != size:
        raise Changed
    return _range(wire, facts, start, length)


def _range(wire: Wire, facts: Facts, start: int, length: int) -> memoryview:
    view = buffer_of(length)
    rest(wire, facts, start, view)
    return view
