"""An operator's own questions to a restored backup: how many documents of a collection match a filter?"""

import json
from collections.abc import Mapping
from typing import Any

from bson import json_util
from bson.errors import BSONError

from databases.engines.base import Connection, Guard
from databases.engines.mongodb.login import login
from databases.engines.mongodb.options import MongoOptions
from databases.engines.mongodb.session import Client, ask
from databases.engines.proof import unanswerable
from jobs.errors import BackupError

MEMBERS = frozenset({"collection", "filter"})


def fault_of(query: Any) -> str:
    if not isinstance(query, dict) or not query.keys() <= MEMBERS:
        return 'Write it as {"collection": "orders", "filter": {...}}.'
    name = query.get("collection")
    if not isinstance(name, str) or not name or "\0" in name or name.startswith("$"):
        return "collection names a collection, as orders or shop.orders."
    if not isinstance(query.get("filter", {}), dict):
        return "filter is an object, in MongoDB's extended JSON."
    try:
        _filter_of(query)
    except (ValueError, TypeError, BSONError) as error:
        return f"filter is no extended JSON: {error}"
    return ""


def _filter_of(query: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json_util.loads(json.dumps(query.get("filter", {})))
    return found


def evaluate(connection: Connection, options: MongoOptions, names: Mapping[str, str], query: Any, guard: Guard) -> int:
    """`names` say where each database of the backup is. Raises BackupError(code="assertion")."""
    if fault := fault_of(query):
        raise unanswerable(fault)
    database, collection = _place_of(query["collection"], names, connection.database_name)

    async def question(client: Client) -> int:
        if collection not in await client[database].list_collection_names(filter={"name": collection}):
            raise unanswerable(f"There is no collection {query['collection']}.")
        return await client[database][collection].count_documents(_filter_of(query))

    try:
        with login(connection, options) as who:
            return ask(who, question, guard=guard)
    except BackupError as error:
        if error.code != "server_error":
            raise
        raise unanswerable(error.message) from error


def _place_of(name: str, names: Mapping[str, str], database: str) -> tuple[str, str]:
    first, dot, rest = name.partition(".")
    if dot and rest and first in names:
        return names[first], rest
    if len(names) == 1:
        return next(iter(names.values())), name
    if database:
        return database, name
    if not names and rest:
        return first, rest
    raise unanswerable(f"The backup holds several databases: name one of them, as database.{name}.")
