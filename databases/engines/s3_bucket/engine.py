"""The s3 engine: one kind of Database, its promises in databases/engines/base.py.

The registry imports this for every web process: what imports boto3 is imported by the methods that talk to S3.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote, urlsplit

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
from databases.engines.proof import Comparison, ScratchRequest
from databases.engines.s3_bucket import places
from databases.engines.s3_bucket.globs import faults_of_patterns
from databases.engines.s3_bucket.options import S3Options, faults_of
from databases.engines.s3_bucket.query import fault_of
from databases.engines.s3_bucket.structure import TarStructure
from jobs.errors import BackupError

if TYPE_CHECKING:
    from databases.engines.s3_bucket.scratch import Scratch


class S3BucketEngine(Engine):
    kind: ClassVar[str] = "s3"
    label: ClassVar[str] = "S3 bucket"
    about: ClassVar[str] = "The objects of a bucket or a prefix, at AWS or any store that speaks S3, as one tar."
    item: ClassVar[str] = "key"
    example: ClassVar[str] = "images/**.jpg"
    unit: ClassVar[str] = "object"
    Options: ClassVar[type] = S3Options
    connection_fields: ClassVar[frozenset[str]] = frozenset()
    needs_index: ClassVar[bool] = True
    merges: ClassVar[bool] = True
    by_hand_files: ClassVar[bool] = True
    supports: ClassVar[frozenset[str]] = frozenset(
        {"full", "selective", "incremental", "restore", "delete_extra", "drill"}
    )

    options: S3Options
    scratch_facts: "Scratch | None" = None  # of a scratch target

    @classmethod
    def validate(cls, connection: Connection, options: Any) -> dict[str, str]:
        return faults_of(connection, options)

    @classmethod
    def address(cls, connection: Connection, options: Mapping[str, Any]) -> str:
        where = f"{options.get('bucket', '')}/{options.get('prefix', '')}".rstrip("/")
        endpoint = options.get("endpoint_url", "")
        return f"{where} at {urlsplit(endpoint).netloc}" if endpoint else where

    @classmethod
    def by_hand(cls, manifest: Mapping[str, Any], archive: str) -> str:
        return f"tar --warning=no-unknown-keyword -xf {archive or '-'}"

    @classmethod
    def by_hand_onto(cls) -> tuple[list[str], list[str]]:
        """Keys that it calls deleted go; what could be a path out of the folder is left alone."""
        inside = 'select(test("(^|/)[.]{1,2}(/|$)|^/|//|/$") | not)'
        deleted = f"jq -j 'select(.deleted) | .key | {inside} + \"\\u0000\"'"
        listed = "cat .backupsite/manifest-*.ndjson"
        return ["rm -f .backupsite/manifest-*"], [f"{listed} | {deleted} | xargs -0 -r rm -f --"]

    @classmethod
    def empties(cls, manifest: Mapping[str, Any], *, include: Sequence[str]) -> bool:
        return False

    @classmethod
    def require_restorable(cls, manifest: Mapping[str, Any], *, include: Sequence[str], delete_extra: bool) -> None:
        super().require_restorable(manifest, include=include, delete_extra=delete_extra)
        if fault := faults_of_patterns(include):
            raise BackupError(f"include: {fault}", code="invalid_selection", permanent=True)

    def continues(self, manifest: Mapping[str, Any]) -> bool:
        return places.identity(self.options) == {name: manifest.get(name) for name in places.IDENTITY}

    @property
    def full_every(self) -> int:
        return self.options.full_every

    def check(self) -> CheckReport:
        from databases.engines.s3_bucket import check

        return check.check(self.options)

    def inventory(self) -> Inventory:
        from databases.engines.s3_bucket import check

        return check.inventory(self.options)

    def preflight(self, request: DumpRequest) -> None:
        from databases.engines.s3_bucket import dump

        dump.require_possible(self.options, request)

    def dump(self, request: DumpRequest) -> AbstractContextManager[Dump]:
        from databases.engines.s3_bucket import dump

        return dump.dump(self.options, request)

    def structure(self, manifest: Mapping[str, Any] | None = None) -> StructureCheck:
        return TarStructure()

    def verify_structure(self, source: Source, guard: Guard) -> Mapping[str, Any]:
        from databases.engines.s3_bucket import verify

        return verify.verify_structure(source, guard)

    def restore(self, chain: Sequence[Source], request: RestoreRequest) -> RestoreReport:
        from databases.engines.s3_bucket import restore

        return restore.restore(
            self.options, chain, request, record=self.scratch_facts.record if self.scratch_facts else None
        )

    def abort_uploads(self, uploads: Mapping[str, str]) -> None:
        from databases.engines.s3_bucket.client import connected
        from databases.engines.s3_bucket.put import abort_upload

        with connected(self.options, connections=1) as client:
            for upload_id, key in uploads.items():
                abort_upload(client, self.options.bucket, unquote(key), upload_id)

    @classmethod
    @contextmanager
    def scratch(cls, request: ScratchRequest) -> Iterator["S3BucketEngine"]:
        from databases.engines.s3_bucket import record, scratch

        server, options = scratch.require_server(request), scratch.options_for(request)
        try:
            with record.recording() as written:
                made = cls(server.connection, options, server.settings)
                made.scratch_facts = scratch.Scratch(str(request.manifest.get("prefix", "")), written)
                yield made
        finally:
            scratch.remove(request)

    @classmethod
    def remove_scratch(cls, request: ScratchRequest) -> None:
        from databases.engines.s3_bucket import scratch

        scratch.remove(request)

    def compare(self, manifest: Mapping[str, Any], guard: Guard) -> Comparison:
        from databases.engines.s3_bucket import compare

        return compare.compare(self.options, self.scratch_facts, manifest, guard)

    @classmethod
    def assertion_fault(cls, query: Any) -> str:
        return fault_of(query)

    def evaluate(self, query: Any, guard: Guard) -> bool | int:
        from databases.engines.s3_bucket import assertion

        return assertion.evaluate(self.options, self.scratch_facts, query, guard)
