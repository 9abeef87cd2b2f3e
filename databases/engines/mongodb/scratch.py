"""A throw-away database on a server that was named for it: one for each database of the backup."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from databases.engines.base import Engine
from databases.engines.mongodb.catalog import NEVER_DUMPED
from databases.engines.mongodb.login import login
from databases.engines.mongodb.session import Client, ask
from databases.engines.proof import ScratchRequest
from jobs.errors import BackupError


def require_server(request: ScratchRequest) -> Engine:
    if request.server is None:
        raise BackupError(
            "A drill of a MongoDB backup needs a server to make its scratch database on.",
            code="no_scratch",
            permanent=True,
            hint="Name another MongoDB Database as drill server; its user needs readWriteAnyDatabase, or root.",
        )
    return request.server


def names_for(manifest: Mapping[str, Any], name: str) -> dict[str, str]:
    """Where each database of the backup goes: `name`, or of several `name_1` and on."""
    contents = manifest.get("structure", {}).get("contents", {})
    sources = {database_of(one) for one in contents} or set(manifest.get("databases", ()))
    ordered = sorted(sources - NEVER_DUMPED)
    if len(ordered) == 1:
        return {ordered[0]: name}
    return {source: f"{name}_{number}" for number, source in enumerate(ordered, start=1)}


def database_of(namespace: str) -> str:
    return namespace.partition(".")[0]


def remove(request: ScratchRequest) -> None:
    """Asks without the job's guard: a job that is stopped leaves nothing behind either."""
    server = require_server(request)
    ours = re.compile(rf"{re.escape(request.name)}(_\d+)?")

    async def question(client: Client) -> None:
        for name in await client.list_database_names():
            if ours.fullmatch(name):
                await client.drop_database(name)

    with login(replace(server.connection, database_name=""), server.options) as who:
        ask(who, question)
