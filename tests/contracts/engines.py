"""What the engine tests share: a guard, a source over bytes, and a dump read to its end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from databases.engines.base import DumpRequest, Engine


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

    def __init__(self, data: bytes, manifest: Mapping[str, Any], fault: Exception | None = None) -> None:
        self.manifest = manifest
        self.position = 0
        self._data = memoryview(data)
        self._fault = fault

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

    def source(self, fault: Exception | None = None) -> BytesSource:
        return BytesSource(self.data, self.manifest, fault)


def dump_of(engine: Engine, request: DumpRequest | None = None, *, block: int = 1 << 16) -> Dumped:
    """A whole dump with its in-flight structure check, as the pipeline would read it."""
    request = request or DumpRequest(guard=RecordingGuard())
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
        return Dumped(bytes(data), dict(dump.manifest), structure.finish())
