"""Stages that run side by side: each in a thread of its own, with a short queue between one and the next.

A stage is an iterator. `Threads.run(stage)` moves it into a thread and gives back an iterator over the same items, so a
pipeline reads as a list of nested iterators and the thread layout is where `run` stands.
"""

from collections import deque
from collections.abc import Callable, Iterator
from threading import Condition, Thread
from types import TracebackType
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")

DEPTH = 4
PULSE_S = 0.5  # how often a waiting reader looks whether its job was cancelled


class Stopped(Exception):
    """The pipeline was left; the stage that sees this ends without a word."""


class Channel(Generic[Item]):
    """A bounded queue with one writer and one reader that ends well, ends with an error, or is stopped."""

    def __init__(self, depth: int = DEPTH) -> None:
        self._items: deque[Item] = deque()
        self._depth = depth
        self._changed = Condition()
        self._ended = False
        self._error: BaseException | None = None

    def put(self, item: Item) -> None:
        """Waits while the queue is full. Raises Stopped when nobody will read any more."""
        with self._changed:
            while len(self._items) >= self._depth and self._error is None:
                self._changed.wait()
            if self._error is not None:
                raise Stopped
            self._items.append(item)
            self._changed.notify()

    def get(self, pulse: Callable[[], None] | None = None) -> Item:
        """The next item; StopIteration at the end; the writer's error at once, even when items are left.

        `pulse` is called about every half second while nothing comes, and may raise.
        """
        while True:
            with self._changed:
                if not self._items and not self._ended and self._error is None:
                    self._changed.wait(None if pulse is None else PULSE_S)
                if self._error is not None:
                    raise self._error
                if self._items:
                    item = self._items.popleft()
                    self._changed.notify()
                    return item
                if self._ended:
                    raise StopIteration
            if pulse is not None:
                pulse()

    def end(self, error: BaseException | None = None) -> None:
        """Says that no item follows: the stream is whole, or broke with `error`. The first word counts."""
        with self._changed:
            if not self._ended and self._error is None:
                self._ended, self._error = error is None, error
            self._changed.notify_all()

    def stop(self) -> None:
        """Wakes both sides with Stopped, whatever was said before."""
        with self._changed:
            self._error = self._error or Stopped()
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        return self.get()


class Threads:
    """The threads of one pipeline. Leaving the context stops and joins them all, whatever happened.

    `abort` is called on leaving while a stage still works, so that one that waits for a silent source wakes up.
    """

    def __init__(self, name: str, *, abort: Callable[[], None] | None = None) -> None:
        self._name = name
        self._abort = abort
        self._channels: list[Channel[object]] = []
        self._threads: list[Thread] = []

    def channel(self, depth: int = DEPTH) -> "Channel[Item]":
        """A queue that is stopped together with the threads."""
        channel: Channel[Item] = Channel(depth)
        self._channels.append(channel)  # type: ignore[arg-type]  # only `stop` is called on it here
        return channel

    def run(self, stage: Iterator[Item], label: str) -> "Channel[Item]":
        """Starts `stage` in a thread; what it yields comes out of the channel, in order, and so does its error."""
        channel: Channel[Item] = self.channel()
        thread = Thread(
            target=_drive,
            args=(stage, channel),
            name=f"{self._name}-{label}",
            daemon=True,
        )
        thread.start()
        self._threads.append(thread)
        return channel

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for channel in self._channels:
            channel.stop()
        try:
            if self._abort is not None and any(thread.is_alive() for thread in self._threads):
                self._abort()
        finally:
            for thread in self._threads:
                thread.join()


def _drive(stage: Iterator[Item], channel: Channel[Item]) -> None:
    """Any error, a bug included, travels down to whoever reads the last channel; none may look like an end."""
    try:
        for item in stage:
            channel.put(item)
    except BaseException as error:  # noqa: BLE001 - it is raised again by whoever reads
        channel.end(error)
    else:
        channel.end()
