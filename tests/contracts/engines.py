"""What the engine tests share: a guard, a source over bytes, and a dump read to its end."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from databases.engines.base import DumpRequest, Engine, Parent, Readable
from jobs.errors import BackupError


@dataclass
class RecordingGuard:
    """A job that goes on until `stop_with` is called; keeps what the engine logs."""

    reason: Exception | None = None
    checks: int = 0
    lines: list[str] = field(default_factory=list)
    callbacks: list[Callable[[], None]] = field(default_factory=list)

    def check(self) -> None:
        self.checks += 1
        if self.reason is not None:
            raise self.reason

    def on_abort(self, callback: Callable[[], None]) -> Callable[[], None]:
        self.callbacks.append(callback)
        return lambda: self.callbacks.remove(callback)

    def log(self, message: str) -> None:
        self.lines.append(message)

    def stop_with(self, reason: Exception) -> None:
        """As the heartbeat does it: from another thread, at any moment."""
        self.reason = reason
        for callback in list(self.callbacks):
            callback()


class BytesSource:
    """A stored artefact's plain stream. With `fault`, the end is never verified: it raises instead."""

    def __init__(
        self, data: bytes, manifest: Mapping[str, Any], fault: Exception | None = None, index: bytes | None = None
    ) -> None:
        self.manifest = manifest
        self.position = 0
        self._data = memoryview(data)
        self._fault = fault
        self._index = index

    @contextmanager
    def open_index(self) -> Iterator[Readable]:
        if self._index is None:
            raise BackupError("There is no index.", code="no_index", permanent=True)
        yield BytesSource(self._index, {})

    def readinto(self, buffer: bytearray | memoryview) -> int:
        view = memoryview(buffer)
        block = self._data[self.position : self.position + len(view)]
        view[: len(block)] = block
        self.position += len(block)
        if len(block) < len(view) and self._fault is not None:
            raise self._fault
        return len(block)


@dataclass(frozen=True)
class Dumped:
    data: bytes
    manifest: Mapping[str, Any]
    facts: Mapping[str, Any]
    index: bytes | None = None

    def source(self, fault: Exception | None = None) -> BytesSource:
        return BytesSource(self.data, self.manifest, fault, self.index)

    def parent(self) -> Parent:
        """As the next incremental gets it."""
        return Parent(self.manifest, None if self.index is None else self.source().open_index)


def dump_of(engine: Engine, request: DumpRequest | None = None, *, block: int = 1 << 16) -> Dumped:
    """A whole dump with its in-flight structure check, as the pipeline would read it."""
    index = bytearray()
    request = replace(request or DumpRequest(guard=RecordingGuard()), index=index.extend)
    engine.preflight(request)
    structure = engine.structure()
    data = bytearray()
    with engine.dump(request) as dump:
        buffer = bytearray(block)
        while True:
            count = dump.readinto(buffer)
            data += buffer[:count]
            structure.feed(memoryview(buffer)[:count])
            if count < block:
                break
        return Dumped(bytes(data), dict(dump.manifest), structure.finish(), bytes(index) or None)
