"""What a server holds, against what the archive held."""

import struct
from collections.abc import Mapping
from typing import Any

from fastcrc.crc64 import xz as crc64

from databases.engines.base import Connection, Guard
from databases.engines.findings import Findings
from databases.engines.mongodb import catalog
from databases.engines.mongodb.catalog import BUCKETS, NEVER_DUMPED
from databases.engines.mongodb.contents import indexes_of, options_of
from databases.engines.mongodb.login import login
from databases.engines.mongodb.options import MongoOptions
from databases.engines.mongodb.session import Client, ask
from databases.engines.proof import Comparison

OLD_MANIFEST = (
    "The manifest is of an older version: it has counts alone, so documents, indexes and options were not compared."
)
USERS_LEFT_OUT = "Users, roles and the server's own configuration are never restored by a drill."
SHARDED = "The server is sharded and keeps no order of documents: they were counted, and not compared by checksum."
OPLOG_LEFT_OUT = "The oplog was not replayed: each collection was compared with what was read of it."
EXPIRING = "{name} has documents that expire: {found} of {expected} were left to compare, so none was lost for certain."
BATCH = 1000
_LENGTH = struct.Struct("<i")


def compare(
    connection: Connection,
    options: MongoOptions,
    names: Mapping[str, str],
    manifest: Mapping[str, Any],
    guard: Guard,
) -> Comparison:
    """`names` say where each database of the backup is now; one that it does not name has kept its name."""

    async def question(client: Client) -> Comparison:
        return await _Comparing(client, names, guard).all(manifest)

    with login(connection, options) as who:
        return ask(who, question, guard=guard)


class _Comparing:
    def __init__(self, client: Client, names: Mapping[str, str], guard: Guard) -> None:
        self._client, self._names, self._guard = client, names, guard
        self._findings = Findings()
        self._there: dict[str, dict[str, Mapping[str, Any]]] = {}
        self._ordered = True

    async def all(self, manifest: Mapping[str, Any]) -> Comparison:
        contents = manifest.get("structure", {}).get("contents")
        if contents is None:
            self._findings.note(OLD_MANIFEST)
            counted = manifest.get("counts", {}).items()
            contents = {name: {"documents": count} for name, count in counted if count is not None}
        self._ordered = (await self._client.admin.command("hello")).get("msg") != "isdbgrid"
        if not self._ordered:
            self._findings.note(SHARDED)
        if manifest.get("oplog"):
            self._findings.note(OPLOG_LEFT_OUT)
        own = {name for name in contents if _is_servers_own(name)}
        if own:
            self._findings.note(USERS_LEFT_OUT)
        for name, facts in contents.items():
            self._guard.check()
            if name not in own:
                await self._collection(name, facts)
        version = (await self._client.admin.command("buildInfo"))["version"]
        return self._findings.comparison(server_version=version)

    async def _collection(self, name: str, facts: Mapping[str, Any]) -> None:
        source, _, own_name = name.partition(".")
        database = self._names.get(source, source)
        entry = (await self._listed(database)).get(own_name)
        expected, found = facts.get("type", "collection"), entry["type"] if entry else None
        if facts.get("type") is None and entry is not None:
            expected = found  # of an older manifest
        if not self._findings.compare("collection", name, expected, found) or entry is None:
            return
        self._each("option", name, facts.get("options"), options_of(entry["options"]))
        expiring = "expireAfterSeconds" in entry["options"]
        if expected != "view":
            indexes = [one async for one in await self._client[database][own_name].list_indexes()]
            self._each("index", name, facts.get("indexes"), indexes_of(indexes))
            expiring = expiring or any("expireAfterSeconds" in one for one in indexes)
        if "documents" in facts:
            stored = f"{BUCKETS}{own_name}" if expected == "timeseries" else own_name
            await self._documents(name, database, stored, facts, expiring=expiring)

    async def _documents(
        self, name: str, database: str, stored: str, facts: Mapping[str, Any], *, expiring: bool
    ) -> None:
        number, checksum = await self._read(database, stored)
        if expiring and number < facts["documents"]:
            self._findings.note(EXPIRING.format(name=name, found=number, expected=facts["documents"]))
            return
        same = self._findings.compare("documents", name, facts["documents"], number)
        if same and self._ordered and "crc64" in facts:
            self._findings.compare("documents_crc64", name, facts["crc64"], checksum)

    async def _read(self, database: str, stored: str) -> tuple[int, str]:
        """All documents in the order in which they were inserted: how many, and the CRC-64 of their BSON."""
        number = checksum = 0
        # Each batch is BSON, whatever the driver's types say.
        cursor: Any = self._client[database][stored].find_raw_batches(sort=[("$natural", 1)], batch_size=BATCH)
        async for batch in cursor:
            self._guard.check()
            number += _documents_in(batch)
            checksum = crc64(batch, checksum)
        return number, f"{checksum:016x}"

    def _each(self, kind: str, name: str, expected: Mapping[str, str] | None, found: Mapping[str, str]) -> None:
        if expected is not None:
            for one in sorted({*expected, *found}):
                self._findings.compare(kind, f"{name}: {one}", expected.get(one), found.get(one))

    async def _listed(self, database: str) -> Mapping[str, Mapping[str, Any]]:
        if database not in self._there:
            cursor = await self._client[database].list_collections()
            self._there[database] = {one["name"]: one for one in await cursor.to_list()}
        return self._there[database]


def _documents_in(batch: bytes) -> int:
    at = number = 0
    while at < len(batch):
        at += _LENGTH.unpack_from(batch, at)[0]
        number += 1
    return number


def _is_servers_own(name: str) -> bool:
    database, _, collection = name.partition(".")
    return database in NEVER_DUMPED or catalog.is_users_or_roles(database, collection)
