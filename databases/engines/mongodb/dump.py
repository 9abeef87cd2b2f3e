"""mongodump on a pipe."""

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

from databases.engines.base import Connection, DumpRequest
from databases.engines.mongodb import catalog
from databases.engines.mongodb.catalog import BUCKETS, Collection
from databases.engines.mongodb.faults import KNOWN, ROWS
from databases.engines.mongodb.login import Login, login
from databases.engines.mongodb.options import MongoOptions
from databases.engines.mongodb.selection import Selection, arguments, chosen, selection_of
from databases.engines.mongodb.session import Client, ask
from databases.engines.mongodb.stitch import Stitched
from databases.engines.mongodb.tools import pick
from databases.engines.process import PIPE, Tool, start
from jobs.errors import BackupError

DONE = re.compile(r"\tdone dumping (?P<name>.+) \((?P<count>\d+) documents?\)\Z", re.DOTALL)
REPORTS = re.compile(r"\t(writing |done dumping |\[[#.]{24}\])")  # lines of every collection, too many for a job's log


class _Output(Protocol):
    def readinto(self, buffer: bytearray | memoryview) -> int: ...
    def kill(self) -> None: ...
    def words(self) -> str: ...


class Counts:
    """What mongodump reports, by the name that users see."""

    def __init__(self) -> None:
        self.by_name: dict[str, int] = {}

    def line(self, text: str) -> None:
        if found := DONE.search(text):
            database, _, name = found["name"].partition(".")
            if database:
                self.by_name[f"{database}.{name.removeprefix(BUCKETS)}"] = int(found["count"])


class MongoDump:
    """The running mongodump; see Dump."""

    extension = ".archive"

    def __init__(self, output: _Output, counts: Counts, facts: dict[str, Any], request: DumpRequest) -> None:
        self.bytes_total_estimate: int | None = facts["collections_size"]
        self._output, self._counts, self._facts, self._guard = output, counts, facts, request.guard
        self._ended = False

    def abort(self) -> None:
        self._output.kill()

    def readinto(self, buffer: bytearray | memoryview) -> int:
        self._guard.check()
        if self._ended:
            return 0
        count = self._output.readinto(buffer)
        if count < len(buffer):
            self._finish()
        return count

    def _finish(self) -> None:
        self._ended = True
        for line in self._output.words().splitlines():
            if not REPORTS.search(line):
                self._guard.log(line)
        kinds = {name: entry["type"] for name, entry in self._facts["collections"].items()}
        for name, number in self._counts.by_name.items():
            if kinds.get(name) != "view":
                self._facts["counts"][name] = number

    @property
    def manifest(self) -> Mapping[str, Any]:
        return self._facts


@contextmanager
def dump(
    connection: Connection, options: MongoOptions, settings: Mapping[str, Any], request: DumpRequest
) -> Iterator[MongoDump]:
    client = pick(settings)
    with login(connection, options) as who, ExitStack() as stack:
        found = ask(who, lambda asked: _look(asked, connection, options, request), guard=request.guard)
        facts = found.facts | {"tool_version": client.text}
        counts = Counts()
        base = [client.tool("mongodump"), f"--config={who.config}", "--archive"]
        tools = [_tool([*base, *run], who, counts) for run in found.runs]
        output: _Output
        if len(tools) == 1:
            output = stack.enter_context(start(tools[0], guard=request.guard, stdout=PIPE))
        else:
            output = Stitched(tools, request.guard, stack)
            counts.by_name.clear()  # small collections are done before the first run is ended
        yield MongoDump(output, counts, facts, request)


def _tool(argv: list[str], who: Login, counts: Counts) -> Tool:
    return Tool(argv=argv, env=who.env, secrets=who.secrets, known=KNOWN, rows=ROWS, line=counts.line)


class Found:
    """What a dump will take: `runs` are mongodump's arguments, `facts` the beginning of the manifest."""

    def __init__(self, runs: list[list[str]], facts: dict[str, Any]) -> None:
        self.runs, self.facts = runs, facts


def require_possible(connection: Connection, options: MongoOptions, request: DumpRequest) -> None:
    """Raises BackupError before any byte flows."""
    with login(connection, options) as who:
        ask(who, lambda client: _look(client, connection, options, request, figures=False), guard=request.guard)


async def _look(
    client: Client, connection: Connection, options: MongoOptions, request: DumpRequest, *, figures: bool = True
) -> Found:
    """Raises BackupError: unsupported, database_missing, nothing_matches."""
    selection = selection_of(options, request)
    _require_type(request, selection)
    hello = await client.admin.command("hello")
    oplog = options.oplog and selection.whole and not connection.database_name
    if oplog and "setName" not in hello:
        raise BackupError(
            "The oplog goes with a member of a replica set, and this server is none.",
            code="unsupported",
            permanent=True,
            hint="Turn the option oplog off; of a sharded cluster no single point in time can be dumped.",
        )
    there = await catalog.collections(client, connection.database_name)
    if connection.database_name and not there:
        raise BackupError(
            f"The database {connection.database_name} holds no collection, or this user may see none.",
            code="database_missing",
            permanent=True,
            hint="Correct database_name (MongoDB tells upper and lower case apart), or the user's rights.",
        )
    kept = chosen(there, selection)
    runs = [["--oplog"]] if oplog else arguments(connection.database_name, there, kept, selection)
    return Found(runs, await _facts(client, kept, selection, connection, oplog) if figures else {})


def _require_type(request: DumpRequest, selection: Selection) -> None:
    if request.type not in ("full", "selective"):
        raise BackupError(f"MongoDB backups cannot be {request.type}.", code="unsupported", permanent=True)
    if request.type == "selective" and selection.whole:
        raise BackupError(
            "A selective backup needs collections to include or exclude.", code="nothing_matches", permanent=True
        )


async def _facts(
    client: Client, kept: list[Collection], selection: Selection, connection: Connection, oplog: bool
) -> dict[str, Any]:
    collections = await catalog.with_figures(client, kept)
    build = await client.admin.command("buildInfo")
    return {
        "server_version": build["version"],
        "format": "archive",
        "database": connection.database_name,
        "oplog": oplog,
        "selection": {"include": list(selection.include), "exclude": list(selection.exclude)},
        "databases": sorted({one.database for one in collections}),
        "collections": {
            one.namespace: {"type": one.type, "size": one.size, "indexes": one.indexes} for one in collections
        },
        "collections_size": sum(one.size or 0 for one in collections),
        "counts": {one.namespace: None for one in collections if one.type != "view"},
    }
