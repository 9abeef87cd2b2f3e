"""An engine for tests that need no server: its Databases and scratch targets are sheets of paper in memory."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from databases.engines.base import (
    CheckReport,
    Connection,
    Dump,
    DumpRequest,
    Engine,
    Guard,
    Inventory,
    RestoreReport,
    RestoreRequest,
    Source,
    StructureCheck,
)
from databases.engines.proof import Comparison, Difference, ScratchRequest
from jobs.errors import BackupError

SHEETS: dict[str, bytes] = {}  # by name: what is written on a Database, or on a scratch target
LINES = b"one\ntwo\nthree\n"


@dataclass(frozen=True)
class Options:
    pass


class _PaperDump:
    extension = ".txt"
    bytes_total_estimate: int | None = None

    def __init__(self, text: bytes) -> None:
        self._left = text
        self.manifest: Mapping[str, Any] = {"server_version": "1", "counts": {"lines": text.count(b"\n")}}

    def abort(self) -> None:
        pass

    def readinto(self, buffer: bytearray | memoryview) -> int:
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


class _Whole:
    def feed(self, block: memoryview) -> None:
        pass

    def finish(self) -> Mapping[str, Any]:
        return {}


class PaperEngine(Engine):
    """`before` is called with the name of each step of a drill, and may raise, wait or spoil."""

    kind = "paper"
    label = "Paper"
    Options = Options
    connection_fields = frozenset({"database_name"})
    supports = frozenset({"full", "restore", "drill"})

    before: Callable[[str], None] = staticmethod(lambda step: None)
    removed: list[str] = []

    @classmethod
    def validate(cls, connection: Connection, options: Any) -> dict[str, str]:
        return {}

    def check(self) -> CheckReport:
        return CheckReport(ok=True)

    def inventory(self) -> Inventory:
        return Inventory(items=())

    def preflight(self, request: DumpRequest) -> None:
        pass

    @contextmanager
    def dump(self, request: DumpRequest) -> Iterator[Dump]:
        yield _PaperDump(SHEETS.get(self.connection.database_name, LINES))

    def structure(self, manifest: Mapping[str, Any] | None = None) -> StructureCheck:
        return _Whole()

    def verify_structure(self, source: Source, guard: Guard) -> Mapping[str, Any]:
        return {}

    def restore(self, chain: Sequence[Source], request: RestoreRequest) -> RestoreReport:
        self.before("restore")
        text = bytearray(1 << 16)
        for source in chain:
            SHEETS[self.connection.database_name] = bytes(text[: source.readinto(text)])
        return RestoreReport(tool_version="scissors 1", counts={"lines": 3}, notes=("The ink has dried.",))

    @classmethod
    @contextmanager
    def scratch(cls, request: ScratchRequest) -> Iterator[Engine]:
        cls.before("scratch")
        SHEETS[request.name] = b""
        try:
            yield cls(Connection(database_name=request.name), Options())
        finally:
            cls.before("tear_down")
            cls.remove_scratch(request)

    @classmethod
    def remove_scratch(cls, request: ScratchRequest) -> None:
        cls.before("remove")
        cls.removed.append(request.name)
        SHEETS.pop(request.name, None)

    def compare(self, manifest: Mapping[str, Any], guard: Guard) -> Comparison:
        self.before("compare")
        guard.check()
        expected = manifest["counts"]["lines"]
        found = SHEETS[self.connection.database_name].count(b"\n")
        lost = (Difference("rows", "lines", expected, found),) if expected != found else ()
        return Comparison(checked={"rows": 1}, differences=lost, total=len(lost), server_version="1", notes=("Read.",))

    @classmethod
    def assertion_fault(cls, query: Any) -> str:
        return "" if isinstance(query, str) else "A query is a word."

    def evaluate(self, query: Any, guard: Guard) -> bool | int | float | None:
        self.before("assert")
        if query == "torn":
            raise BackupError("The paper is torn.", code="assertion")
        if query == "blank":
            return None
        return SHEETS[self.connection.database_name].count(str(query).encode())


def scratches() -> set[str]:
    return {name for name in SHEETS if name.startswith("bsdrill_")}
