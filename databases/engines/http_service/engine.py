"""The http engine: one kind of Database, its promises in databases/engines/base.py.

The registry imports this for every web process: what imports urllib3 is imported by the methods that make requests.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

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
from databases.engines.http_service import assertion
from databases.engines.http_service.manifest import TAGGED, identity
from databases.engines.http_service.options import HttpOptions, collections_of, faults_of, names_in
from databases.engines.http_service.structure import LinesStructure
from databases.engines.http_service.urls import shown
from databases.engines.proof import Comparison, ScratchRequest
from jobs.errors import BackupError

if TYPE_CHECKING:
    from databases.engines.http_service.sink import Sink


@dataclass(frozen=True)
class Drilled:
    """The sink that a scratch target posts to, and the collections of the backup."""

    sink: "Sink"
    collections: list[str]


class HttpEngine(Engine):
    kind: ClassVar[str] = "http"
    label: ClassVar[str] = "HTTP service"
    about: ClassVar[str] = "The records of a microservice, read over HTTP as JSON."
    item: ClassVar[str] = "collection"
    example: ClassVar[str] = "users"
    unit: ClassVar[str] = "record"
    Options: ClassVar[type] = HttpOptions
    connection_fields: ClassVar[frozenset[str]] = frozenset({"username", "password"})
    merges: ClassVar[bool] = True
    supports: ClassVar[frozenset[str]] = frozenset({"full", "selective", "incremental", "restore", "drill"})

    options: HttpOptions
    drilled: "Drilled | None" = None  # of a scratch target

    @classmethod
    def validate(cls, connection: Connection, options: Any) -> dict[str, str]:
        return faults_of(connection, options)

    @classmethod
    def address(cls, connection: Connection, options: Mapping[str, Any]) -> str:
        url = options.get("url", "")
        return shown(url) if url else ""

    @classmethod
    def collections(cls, options: Mapping[str, Any]) -> tuple[str, ...]:
        return collections_of(options)

    @classmethod
    def records(cls, plain: bytes, manifest: Mapping[str, Any]) -> list[Any]:
        """One value a line; of several collections `{"collection": name, "record": record}`."""
        return [json.loads(line) for line in plain.split(b"\n") if line]

    @classmethod
    def require_restorable(cls, manifest: Mapping[str, Any], *, include: Sequence[str], delete_extra: bool) -> None:
        super().require_restorable(manifest, include=include, delete_extra=delete_extra)
        held = manifest.get("collections", [])
        if unknown := [name for name in include if name not in held]:
            raise BackupError(
                f"The backup has no collection {unknown[0]!r}.",
                code="unsupported",
                permanent=True,
                hint=f"It has {', '.join(held)}.",
            )

    @classmethod
    def by_hand(cls, manifest: Mapping[str, Any], archive: str) -> str:
        """All records of a collection in one POST, taken as text: jq would round large numbers."""
        taken = f"paste -sd, {archive or '-'}"
        if manifest.get("format") == TAGGED:
            one = 's/^{"collection":"COLLECTION","record":\\(.*\\)}$/\\1/p'
            taken = f"sed -n '{one}' {archive}".rstrip() + " | paste -sd, -"
        post = "curl --fail -H 'Content-Type: application/json' --data-binary @- RESTORE_URL"
        return f"{taken} | sed 's/.*/[&]/' | {post}"

    @classmethod
    def empties(cls, manifest: Mapping[str, Any], *, include: Sequence[str]) -> bool:
        return False

    def continues(self, manifest: Mapping[str, Any]) -> bool:
        now = {**identity(self.connection, self.options), "collections": list(names_in(self.options.collection))}
        same = now == {name: manifest.get(name) for name in now}
        return same and bool(self.options.since_param) and bool(manifest.get("until"))

    @property
    def full_every(self) -> int:
        return self.options.full_every

    def check(self) -> CheckReport:
        from databases.engines.http_service import check

        return check.check(self.connection, self.options, self.settings)

    def inventory(self) -> Inventory:
        from databases.engines.http_service import check

        return check.inventory(self.connection, self.options, self.settings)

    def preflight(self, request: DumpRequest) -> None:
        from databases.engines.http_service import dump

        dump.preflight(self.options, self.settings, request)

    def dump(self, request: DumpRequest) -> AbstractContextManager[Dump]:
        from databases.engines.http_service import dump

        return dump.dump(self.connection, self.options, self.settings, request)

    def structure(self, manifest: Mapping[str, Any] | None = None) -> StructureCheck:
        return LinesStructure(None if manifest is None else manifest.get("records"))

    def verify_structure(self, source: Source, guard: Guard) -> Mapping[str, Any]:
        from databases.engines.http_service import verify

        return verify.verify_structure(source, guard)

    def restore(self, chain: Sequence[Source], request: RestoreRequest) -> RestoreReport:
        from databases.engines.http_service import restore

        return restore.restore(self.connection, self.options, self.settings, chain, request)

    @classmethod
    @contextmanager
    def scratch(cls, request: ScratchRequest) -> Iterator["HttpEngine"]:
        """A service of its own on loopback, where no other may be asked: needs no server."""
        from databases.engines.http_service import sink

        with sink.running(request.manifest.get("schema") or {}) as service:
            options = HttpOptions(url=service.url, restore_url=service.url)
            made = cls(Connection(), options, {**request.settings, "allowed_networks": (f"{sink.HOST}/32",)})
            made.drilled = Drilled(service, list(request.manifest.get("collections", ())))
            yield made

    @classmethod
    def remove_scratch(cls, request: ScratchRequest) -> None:
        """The sink has gone with its process."""

    def compare(self, manifest: Mapping[str, Any], guard: Guard) -> Comparison:
        from databases.engines.http_service import compare

        return compare.compare(self._drilled().sink, manifest)

    @classmethod
    def assertion_fault(cls, query: Any) -> str:
        return assertion.fault_of(query)

    def evaluate(self, query: Any, guard: Guard) -> int:
        drilled = self._drilled()
        return assertion.evaluate(drilled.sink.count, drilled.collections, query)

    def _drilled(self) -> Drilled:
        if self.drilled is None:
            raise BackupError("Only what a drill has restored can be compared.", code="unsupported", permanent=True)
        return self.drilled
