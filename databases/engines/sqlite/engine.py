"""The sqlite engine: one file, its promises in databases/engines/base.py."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar

from databases.engines.base import (
    CheckReport,
    Connection,
    Dump,
    DumpRequest,
    Engine,
    Guard,
    Inventory,
    InventoryItem,
    RestoreReport,
    RestoreRequest,
    Source,
    StructureCheck,
)
from databases.engines.folder import secret_folder
from databases.engines.proof import Comparison, ScratchRequest
from databases.engines.sqlite import drill, restore
from databases.engines.sqlite.catalog import count, pragma, tables
from databases.engines.sqlite.dump import PREFIX, dump, preflight, require_tables
from databases.engines.sqlite.options import SqliteOptions, allowed_file, faults_of
from databases.engines.sqlite.session import VERSION, reading
from databases.engines.sqlite.structure import HeaderStructure
from jobs.errors import BackupError


class SqliteEngine(Engine):
    kind: ClassVar[str] = "sqlite"
    label: ClassVar[str] = "SQLite"
    about: ClassVar[str] = "One database file on a worker's host, while it is in use."
    item: ClassVar[str] = "table"
    example: ClassVar[str] = "orders"
    unit: ClassVar[str] = "row"
    Options: ClassVar[type] = SqliteOptions
    connection_fields: ClassVar[frozenset[str]] = frozenset()
    atomic: ClassVar[bool] = True
    by_hand_files: ClassVar[bool] = True
    supports: ClassVar[frozenset[str]] = frozenset({"full", "restore", "drill"})

    options: SqliteOptions

    @classmethod
    def validate(cls, connection: Connection, options: Any) -> dict[str, str]:
        return faults_of(options)

    @classmethod
    def address(cls, connection: Connection, options: Mapping[str, Any]) -> str:
        return str(options.get("path", ""))

    @classmethod
    def require_restorable(cls, manifest: Mapping[str, Any], *, include: Sequence[str], delete_extra: bool) -> None:
        super().require_restorable(manifest, include=include, delete_extra=delete_extra)
        if include:
            raise BackupError(
                "A restore of SQLite puts the whole file back.",
                code="unsupported",
                permanent=True,
                hint="Restore to another path, and take what you want from there.",
            )

    @classmethod
    def by_hand(cls, manifest: Mapping[str, Any], archive: str) -> str:
        return f"cat {archive} > restored.sqlite3" if archive else "cat > restored.sqlite3"

    def check(self) -> CheckReport:
        began = time.monotonic()
        try:
            with reading(allowed_file(self.options, self.settings)) as connection:
                require_tables(connection)
        except BackupError as error:
            return CheckReport(ok=False, error=error.message, code=error.code, hint=error.hint)
        latency = round(1000 * (time.monotonic() - began), 1)
        return CheckReport(ok=True, latency_ms=latency, server_version=VERSION, tool_version=f"SQLite {VERSION}")

    def inventory(self) -> Inventory:
        with reading(allowed_file(self.options, self.settings)) as connection:
            items = [InventoryItem(name, "table", rows=count(connection, name)) for name in tables(connection)]
            size = pragma(connection, "page_count") * pragma(connection, "page_size")
        return Inventory(items=tuple(items), size=size)

    def preflight(self, request: DumpRequest) -> None:
        preflight(self.options, self.settings, request)

    def dump(self, request: DumpRequest) -> AbstractContextManager[Dump]:
        return dump(self.options, self.settings, request)

    def structure(self, manifest: Mapping[str, Any] | None = None) -> StructureCheck:
        return HeaderStructure()

    def verify_structure(self, source: Source, guard: Guard) -> Mapping[str, Any]:
        with secret_folder(PREFIX, parent=self.settings.get("sqlite_temporary", "")) as folder:
            path = folder / "verified.sqlite3"
            with path.open("wb") as file:
                restore.copy_checked(source, file, path, guard)
            with reading(path, guard, still=True) as connection:
                return {"integrity_check": "ok", "tables": len(tables(connection))}

    def restore(self, chain: Sequence[Source], request: RestoreRequest) -> RestoreReport:
        return restore.restore(self.options, self.settings, chain, request)

    @classmethod
    @contextmanager
    def scratch(cls, request: ScratchRequest) -> Iterator[Engine]:
        with drill.scratch(request) as path:
            settings = {**request.settings, "sqlite_folders": [str(path.parent)]}
            yield cls(Connection(), SqliteOptions(path=str(path)), settings)

    @classmethod
    def remove_scratch(cls, request: ScratchRequest) -> None:
        drill.remove_scratch(request)

    def compare(self, manifest: Mapping[str, Any], guard: Guard) -> Comparison:
        return drill.compare(allowed_file(self.options, self.settings), manifest, guard)

    @classmethod
    def assertion_fault(cls, query: Any) -> str:
        return drill.assertion_fault(query)

    def evaluate(self, query: Any, guard: Guard) -> bool | int | float | None:
        return drill.evaluate(allowed_file(self.options, self.settings), query, guard)
