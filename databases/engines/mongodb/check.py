"""Can this Database be backed up, and what would a backup hold?"""

import time
from collections.abc import Mapping
from typing import Any

from databases.engines.base import CheckReport, Connection, Inventory, InventoryItem
from databases.engines.mongodb import catalog
from databases.engines.mongodb.login import login
from databases.engines.mongodb.options import MongoOptions
from databases.engines.mongodb.selection import Selection, chosen
from databases.engines.mongodb.session import Client, ask
from databases.engines.mongodb.tools import pick
from jobs.errors import BackupError

BROAD = frozenset({"root", "__system", "dbOwner", "userAdminAnyDatabase", "userAdmin"})


def check(connection: Connection, options: MongoOptions, settings: Mapping[str, Any]) -> CheckReport:
    began = time.monotonic()
    latency: float | None = None
    version = ""

    async def question(client: Client) -> tuple[str, ...]:
        nonlocal latency, version
        await client.admin.command("ping")
        latency = round(1000 * (time.monotonic() - began), 1)
        version = (await client.admin.command("buildInfo"))["version"]
        pick(settings)
        return tuple(await _warnings(client, connection, options))

    try:
        with login(connection, options) as who:
            warnings = ask(who, question)
        tool = pick(settings).text
    except BackupError as error:
        return CheckReport(
            ok=False,
            latency_ms=latency,
            server_version=version,
            error=error.message,
            code=error.code,
            hint=error.hint,
        )
    return CheckReport(ok=True, latency_ms=latency, server_version=version, tool_version=tool, warnings=warnings)


async def _warnings(client: Client, connection: Connection, options: MongoOptions) -> list[str]:
    warnings = []
    status = (await client.admin.command({"connectionStatus": 1}))["authInfo"]
    roles = {role["role"] for role in status.get("authenticatedUserRoles", ())}
    if broad := sorted(roles & BROAD):
        warnings.append(
            f"The user has the role {', '.join(broad)}: read on the database, or backup for all, is enough for backups."
        )
    if not status.get("authenticatedUsers"):
        warnings.append("The server let us in without a user name: is authentication off?")
    if options.oplog and "setName" not in await client.admin.command("hello"):
        warnings.append("The option oplog is on and the server belongs to no replica set: a backup would fail.")
    there = await catalog.collections(client, connection.database_name)
    if not there:
        warnings.append("No collection was found: a backup would fail.")
        return warnings
    try:
        chosen(there, Selection(options.include_collections, options.exclude_collections))
    except BackupError as error:
        warnings.append(f"{error.message} A backup would fail.")
    return warnings


def inventory(connection: Connection, options: MongoOptions) -> Inventory:
    async def question(client: Client) -> list[catalog.Collection]:
        there = await catalog.collections(client, connection.database_name)
        selection = Selection(options.include_collections, options.exclude_collections)
        return await catalog.with_figures(client, chosen(there, selection) if there else [])

    with login(connection, options) as who:
        found = ask(who, question)
    items = tuple(
        InventoryItem(
            name=one.name if connection.database_name else one.namespace,
            kind="time series" if one.type == "timeseries" else one.type,
            rows=one.documents,
            size=one.size,
        )
        for one in found
    )
    return Inventory(items=items, size=sum(one.size or 0 for one in found))
