"""The mongodb engine: one kind of Database, its promises in databases/engines/base.py.

The registry imports this for every web process: what imports pymongo is imported by the methods that need it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
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
from databases.engines.mongodb.options import MongoOptions, faults_of
from databases.engines.mongodb.tools import HINT, clients, pick
from databases.engines.proof import Comparison, Mask, ScratchRequest
from jobs.errors import BackupError


class MongoEngine(Engine):
    kind: ClassVar[str] = "mongodb"
    label: ClassVar[str] = "MongoDB"
    about: ClassVar[str] = "One database or a whole replica set, by mongodump."
    item: ClassVar[str] = "collection"
    example: ClassVar[str] = "shop.orders"
    unit: ClassVar[str] = "document"
    Options: ClassVar[type] = MongoOptions
    connection_fields: ClassVar[frozenset[str]] = frozenset({"host", "port", "username", "password", "database_name"})
    default_port: ClassVar[int | None] = 27017
    tools_hint: ClassVar[str] = HINT
    supports: ClassVar[frozenset[str]] = frozenset({"full", "selective", "restore", "drill", "masking"})

    options: MongoOptions
    scratch_names: Mapping[str, str] | None = None  # of a scratch target: where each database of the backup goes

    @classmethod
    def tools(cls, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(f"mongodump, mongorestore {client.text} in {client.folder}" for client in clients(settings))

    @classmethod
    def validate(cls, connection: Connection, options: Any) -> dict[str, str]:
        return faults_of(connection, options)

    @classmethod
    def address(cls, connection: Connection, options: Mapping[str, Any]) -> str:
        where = super().address(connection, options)
        return where if connection.host else f"uri{where}"

    @classmethod
    def mask_fault(cls, mask: Mask) -> str:
        from databases.engines.mongodb import masking

        return masking.mask_fault(mask)

    @classmethod
    def by_hand(cls, manifest: Mapping[str, Any], archive: str) -> str:
        replay = " --oplogReplay" if manifest.get("oplog") else ""
        source = f"={archive}" if archive else ""
        # The file names the target and holds the password (docs/restoring-without-backupsite.md).
        return f"mongorestore --config=target.yaml --stopOnError{replay} --archive{source}"

    @classmethod
    def empties(cls, manifest: Mapping[str, Any], *, include: Sequence[str]) -> bool:
        selection = manifest.get("selection", {"include": ["?"]})
        return not (include or selection.get("include") or selection.get("exclude"))

    def check(self) -> CheckReport:
        from databases.engines.mongodb import check

        return check.check(self.connection, self.options, self.settings)

    def inventory(self) -> Inventory:
        from databases.engines.mongodb import check

        return check.inventory(self.connection, self.options)

    def preflight(self, request: DumpRequest) -> None:
        from databases.engines.mongodb import dump

        pick(self.settings)
        dump.require_possible(self.connection, self.options, request)

    def dump(self, request: DumpRequest) -> AbstractContextManager[Dump]:
        from databases.engines.mongodb import dump

        return dump.dump(self.connection, self.options, self.settings, request)

    def structure(self, manifest: Mapping[str, Any] | None = None) -> StructureCheck:
        from databases.engines.mongodb.structure import MongoStructure

        return MongoStructure(manifest)

    def verify_structure(self, source: Source, guard: Guard) -> Mapping[str, Any]:
        from databases.engines.mongodb import verify

        return verify.verify_structure(source, guard)

    def restore(self, chain: Sequence[Source], request: RestoreRequest) -> RestoreReport:
        from databases.engines.mongodb import restore

        if len(chain) != 1:
            raise BackupError("A MongoDB backup has no increments.", code="unsupported", permanent=True)
        return restore.restore(
            self.connection, self.options, self.settings, chain[0], request, scratch=self.scratch_names
        )

    @classmethod
    @contextmanager
    def scratch(cls, request: ScratchRequest) -> Iterator["MongoEngine"]:
        from databases.engines.mongodb import scratch

        server = scratch.require_server(request)
        made = cls(replace(server.connection, database_name=""), server.options, server.settings)
        made.scratch_names = scratch.names_for(request.manifest, request.name)
        try:
            yield made
        finally:
            scratch.remove(request)

    @classmethod
    def remove_scratch(cls, request: ScratchRequest) -> None:
        from databases.engines.mongodb import scratch

        scratch.remove(request)

    def compare(self, manifest: Mapping[str, Any], guard: Guard) -> Comparison:
        from databases.engines.mongodb import compare

        return compare.compare(self.connection, self.options, self._names(manifest), manifest, guard)

    def _names(self, manifest: Mapping[str, Any]) -> Mapping[str, str]:
        """Where each database of a backup is here."""
        from databases.engines.mongodb import scratch

        if self.scratch_names is None and self.connection.database_name:
            return scratch.names_for(manifest, self.connection.database_name)
        return self.scratch_names or {}

    @classmethod
    def assertion_fault(cls, query: Any) -> str:
        from databases.engines.mongodb import assertion

        return assertion.fault_of(query)

    def evaluate(self, query: Any, guard: Guard) -> int:
        from databases.engines.mongodb import assertion

        return assertion.evaluate(self.connection, self.options, self.scratch_names or {}, query, guard)
