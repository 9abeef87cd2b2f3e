"""The postgres engine: one kind of Database, its promises in databases/engines/base.py."""

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
    RestoreReport,
    RestoreRequest,
    Source,
    StructureCheck,
)
from databases.engines.postgres import assertion, check, dump, masking, restore, scratch, throwaway, verify
from databases.engines.postgres.clients import clients, pick
from databases.engines.postgres.compare import compare
from databases.engines.postgres.login import login
from databases.engines.postgres.options import PostgresOptions, faults_of
from databases.engines.postgres.session import connect
from databases.engines.postgres.structure import PostgresStructure
from databases.engines.proof import Comparison, Mask, ScratchRequest
from jobs.errors import BackupError


class PostgresEngine(Engine):
    kind: ClassVar[str] = "postgres"
    label: ClassVar[str] = "PostgreSQL"
    about: ClassVar[str] = "One database of a server, versions 14 to 18, by pg_dump."
    item: ClassVar[str] = "table"
    example: ClassVar[str] = "public.orders"
    unit: ClassVar[str] = "row"
    Options: ClassVar[type] = PostgresOptions
    connection_fields: ClassVar[frozenset[str]] = frozenset({"host", "port", "username", "password", "database_name"})
    default_port: ClassVar[int | None] = 5432
    tools_hint: ClassVar[str] = "Install postgresql-client, or name its folder in BACKUPSITE_PG_BIN_DIRS."
    atomic: ClassVar[bool] = True
    supports: ClassVar[frozenset[str]] = frozenset({"full", "selective", "restore", "drill", "masking"})

    asker: Connection | None = None  # of a throw-away server: who answers assertions there

    @classmethod
    def tools(cls, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(f"pg_dump, pg_restore, psql {client.text} in {client.folder}" for client in clients(settings))

    @classmethod
    def validate(cls, connection: Connection, options: Any) -> dict[str, str]:
        return faults_of(connection, options)

    @classmethod
    def require_restorable(cls, manifest: Mapping[str, Any], *, include: Sequence[str], delete_extra: bool) -> None:
        super().require_restorable(manifest, include=include, delete_extra=delete_extra)
        if include and manifest.get("format") == "plain":
            raise BackupError(
                "Selected tables cannot be taken from a plain dump.",
                code="unsupported",
                permanent=True,
                hint="Restore all of it, or make backups in the custom format.",
            )

    @classmethod
    def by_hand(cls, manifest: Mapping[str, Any], archive: str) -> str:
        if manifest.get("format") == "plain":
            return f"psql -X -v ON_ERROR_STOP=1 --single-transaction -d TARGET{f' -f {archive}' if archive else ''}"
        return f"pg_restore --exit-on-error --single-transaction --no-owner -d TARGET {archive}".rstrip()

    @classmethod
    def mask_fault(cls, mask: Mask) -> str:
        return masking.mask_fault(mask)

    def check(self) -> CheckReport:
        return check.check(self.connection, self.options, self.settings)

    def inventory(self) -> Inventory:
        return check.inventory(self.connection, self.options)

    def preflight(self, request: DumpRequest) -> None:
        with login(self.connection, self.options) as who, connect(who, guard=request.guard) as session:
            pick(self.settings, at_least=session.server_major)
            dump.require_possible(session, dump.selection_of(self.options, request), request)

    def dump(self, request: DumpRequest) -> AbstractContextManager[Dump]:
        return dump.dump(self.connection, self.options, self.settings, request)

    def structure(self, manifest: Mapping[str, Any] | None = None) -> StructureCheck:
        return PostgresStructure()

    def verify_structure(self, source: Source, guard: Guard) -> Mapping[str, Any]:
        return verify.verify_structure(source, guard, self.settings)

    def restore(self, chain: Sequence[Source], request: RestoreRequest) -> RestoreReport:
        if len(chain) != 1:
            raise BackupError("A PostgreSQL backup has no increments.", code="unsupported", permanent=True)
        return restore.restore(self.connection, self.options, self.settings, chain[0], request)

    @classmethod
    @contextmanager
    def scratch(cls, request: ScratchRequest) -> Iterator[Engine]:
        if request.server is None:
            with throwaway.throwaway(request) as connection:
                made = cls(connection, PostgresOptions(), request.settings)
                made.asker = throwaway.asker(connection)
                yield made
            return
        server = request.server
        with scratch.database(server.connection, server.options, request) as connection:
            yield cls(connection, server.options, server.settings)

    @classmethod
    def remove_scratch(cls, request: ScratchRequest) -> None:
        if request.server is None:
            throwaway.remove(request)
        else:
            scratch.drop(request.server.connection, request.server.options, request)

    def compare(self, manifest: Mapping[str, Any], guard: Guard) -> Comparison:
        return compare(self.connection, self.options, manifest, guard)

    @classmethod
    def assertion_fault(cls, query: Any) -> str:
        return assertion.fault(query)

    def evaluate(self, query: Any, guard: Guard) -> bool | int | float | None:
        return assertion.evaluate(self.asker or self.connection, self.options, query, guard)
