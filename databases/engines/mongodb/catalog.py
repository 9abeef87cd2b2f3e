"""What is in the server."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from databases.engines.mongodb.session import Client

NEVER_DUMPED = frozenset({"local", "config"})  # the server's own: replication and sharding
BUCKETS = "system.buckets."
AT_ONCE = 16


@dataclass(frozen=True)
class Collection:
    """`type` is collection, view or timeseries; `size` is the documents' bytes, `documents` the server's estimate."""

    database: str
    name: str
    type: str
    size: int | None = None
    documents: int | None = None
    indexes: int | None = None

    @property
    def namespace(self) -> str:
        return f"{self.database}.{self.name}"


def is_dumped(database: str, name: str) -> bool:
    """mongodump's own rule. Users and roles are in `admin.system.*`, stored functions in `system.js`."""
    if database in NEVER_DUMPED:
        return False
    if database == "admin":
        return name not in ("system.keys", "system.profile", "system.views")
    return name == "system.js" or not name.startswith("system.")


def is_users_or_roles(database: str, name: str) -> bool:
    return database == "admin" and name.startswith("system.")


async def collections(client: Client, database: str) -> list[Collection]:
    """Of one database, or with an empty name of all that are dumped; by name, without figures."""
    names = [database] if database else await client.list_database_names()
    found = []
    for name in names:
        if name not in NEVER_DUMPED:
            cursor = await client[name].list_collections(authorizedCollections=True, nameOnly=True)
            entries = await cursor.to_list()
            found += [Collection(name, one["name"], one["type"]) for one in entries if is_dumped(name, one["name"])]
    return sorted(found, key=lambda collection: (collection.database, collection.name))


async def with_figures(client: Client, chosen: Iterable[Collection]) -> list[Collection]:
    """Sizes, estimates and number of indexes, where the user may see them."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def measured(collection: Collection) -> Collection:
        if collection.type == "view" or is_users_or_roles(collection.database, collection.name):
            return collection
        async with gate:
            return await _measured(client, collection)

    # All end before the first fault is told: a question cut off while it connects leaves its socket open.
    found = await asyncio.gather(*(measured(collection) for collection in chosen), return_exceptions=True)
    for answer in found:
        if isinstance(answer, BaseException):
            raise answer
    return [answer for answer in found if isinstance(answer, Collection)]


async def _measured(client: Client, collection: Collection) -> Collection:
    pipeline: list[dict[str, Any]] = [{"$collStats": {"storageStats": {}}}]
    size = documents = indexes = 0
    async for shard in await client[collection.database][collection.name].aggregate(pipeline):
        stats = shard["storageStats"]
        size += stats.get("size", 0)
        # A time series counts its measurements nowhere; its figures are those of the buckets.
        documents += stats.get("count", stats.get("timeseries", {}).get("bucketCount", 0))
        indexes = stats.get("nindexes", 0)
    return Collection(collection.database, collection.name, collection.type, int(size), int(documents), indexes)


async def count(client: Client, database: str, name: str, kind: str) -> int:
    """Exact, by reading them all. A time series is counted in buckets, as mongodump does."""
    stored = f"{BUCKETS}{name}" if kind == "timeseries" else name
    return await client[database][stored].count_documents({})
