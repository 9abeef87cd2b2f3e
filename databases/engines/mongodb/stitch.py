"""One archive of several databases, each without some of its collections.

mongodump leaves collections out only where it dumps one database. So it runs once for each, and an archive is made of
theirs: one prelude with the collections of all, then the blocks of one after the other. To know the prelude before
any block, each run is begun twice: the first time it is ended behind its prelude. Where the second prelude differs in
more than sizes, the dump fails and can be tried again.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import bson

from databases.engines.base import Guard
from databases.engines.mongodb.archive import MAGIC, Archive, damaged
from databases.engines.mongodb.filter import END, members_of
from databases.engines.process import PIPE, Process, Tool, start
from jobs.errors import BackupError

BLOCK = 1 << 20


class Stitched:
    """`readinto` and `kill` as of a Process; leaving `stack` ends what runs."""

    def __init__(self, tools: Sequence[Tool], guard: Guard, stack: ExitStack) -> None:
        """Runs every tool for its prelude. Raises BackupError when one fails."""
        self._tools, self._guard, self._stack = tools, guard, stack
        self._preludes = [_prelude_of(tool, guard) for tool in tools]
        self._chunks = self._all()
        self._left = memoryview(b"")
        self._process: Process | None = None
        self._stopped = self._complete = False
        self._words: list[str] = []

    def readinto(self, buffer: bytearray | memoryview) -> int:
        view = memoryview(buffer)
        filled = 0
        while filled < len(view):
            if not self._left:
                chunk = next(self._chunks, None)
                if chunk is None:
                    self._require_complete()
                    break
                self._left = chunk
            count = min(len(self._left), len(view) - filled)
            view[filled : filled + count] = self._left[:count]
            self._left = self._left[count:]
            filled += count
        return filled

    def _require_complete(self) -> None:
        """A generator that failed looks like one that ended when it is asked again."""
        if not self._complete:
            raise BackupError("The dump ended early.", code="stopped")

    def kill(self) -> None:
        """Also when no run is at work just now: none is started any more."""
        self._stopped = True
        if self._process is not None:
            self._process.kill()

    def _is_stopped(self) -> bool:
        """Asked each time: `kill` comes from another thread."""
        return self._stopped

    def words(self) -> str:
        """What the runs wrote to stderr; call it after the end."""
        return "\n".join(self._words)

    def _all(self) -> Iterator[memoryview]:
        documents = [bson.encode(self._preludes[0].header)]
        for archive in self._preludes:
            documents += members_of(archive.prelude)
        yield memoryview(MAGIC + b"".join(documents) + END)
        for tool, before in zip(self._tools, self._preludes, strict=True):
            if self._is_stopped():
                return
            self._process = process = self._stack.enter_context(start(tool, guard=self._guard, stdout=PIPE))
            if self._is_stopped():  # between the two lines above
                process.kill()
            yield from _blocks(process, before)
            self._words.append(process.words())
        self._complete = True


def _prelude_of(tool: Tool, guard: Guard) -> Archive:
    with start(tool, guard=guard, stdout=PIPE) as process:
        archive, _ = _read_prelude(process)
        process.kill()
    guard.check()
    return archive


def _read_prelude(process: Process) -> tuple[Archive, memoryview]:
    """The archive that has its prelude, and the bytes that were read beyond it."""
    archive, seen = Archive(), bytearray()
    while archive.members is None:
        block = process.stdout.read(BLOCK)
        if not block:
            process.finish()
            raise damaged("mongodump ended within its prelude.")
        seen += block
        archive.feed(memoryview(block))
    return archive, memoryview(seen)[len(archive.prelude) :]


def _blocks(process: Process, before: Archive) -> Iterator[memoryview]:
    now, beyond = _read_prelude(process)
    if _named(now) != _named(before):
        raise BackupError(
            "Collections or indexes were changed while the dump began.",
            code="changed",
            hint="It is tried again.",
        )
    yield beyond
    buffer = bytearray(BLOCK)
    while count := process.readinto(buffer):
        yield memoryview(bytes(memoryview(buffer)[:count]))


def _named(archive: Archive) -> set[Any]:
    """mongodump writes a collection's options in any order."""
    return {
        replace(member, metadata=json.dumps(json.loads(member.metadata or "{}"), sort_keys=True))
        for member in archive.members or ()
    }
