"""pg_dump inside a snapshot of our own, so that facts and counts are those of the dump."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from databases.engines.base import Connection, DumpRequest
from databases.engines.postgres import catalog
from databases.engines.postgres.clients import Client, pick
from databases.engines.postgres.counts import RowCounter, counting
from databases.engines.postgres.facts import RELATIONS, TABLES, held, views
from databases.engines.postgres.faults import KNOWN
from databases.engines.postgres.login import Login, login
from databases.engines.postgres.options import PostgresOptions
from databases.engines.postgres.session import Session, connect
from databases.engines.process import PIPE, Process, Tool, start
from jobs.errors import BackupError

EXTENSIONS = {"custom": ".dump", "plain": ".sql"}


def selection_of(options: PostgresOptions, request: DumpRequest) -> catalog.Selection:
    """A request's names narrow further than the Database's: they take the place of its `include_tables`."""
    selective = request.type == "selective"
    return catalog.Selection(
        include=(request.include if selective else ()) or options.include_tables,
        exclude=options.exclude_tables + (request.exclude if selective else ()),
        schemas=options.schemas,
    )


def require_possible(session: Session, selection: catalog.Selection, request: DumpRequest) -> None:
    """Raises BackupError: unsupported, nothing_matches."""
    if request.type not in ("full", "selective"):
        raise BackupError(f"PostgreSQL backups cannot be {request.type}.", code="unsupported", permanent=True)
    if request.type == "selective" and selection.whole:
        raise BackupError(
            "A selective backup needs tables to include or exclude.", code="nothing_matches", permanent=True
        )
    if not (selection.whole or catalog.tables(session, selection, sizes=False)):
        raise BackupError(
            "No table matches what is to be included.",
            code="nothing_matches",
            permanent=True,
            hint="Names are patterns like shop.orders or shop.order_*; without a schema the search_path applies.",
        )


class PostgresDump:
    """The running pg_dump; see Dump."""

    def __init__(self, process: Process, counter: RowCounter, facts: dict[str, Any], request: DumpRequest) -> None:
        self.extension = EXTENSIONS[facts["format"]]
        self.bytes_total_estimate: int | None = facts["tables_size"]
        self._process = process
        self._counter = counter
        self._facts = facts
        self._guard = request.guard
        self._ended = False

    def abort(self) -> None:
        self._process.kill()

    def readinto(self, buffer: bytearray | memoryview) -> int:
        self._guard.check()
        if self._ended:
            return 0
        count = self._process.readinto(buffer)
        if count < len(buffer):
            self._finish()
        return count

    def _finish(self) -> None:
        self._ended = True
        for line in self._process.words().splitlines():
            self._guard.log(line)
        self._facts["counts"] |= self._counter.finish()
        self._facts["facts"] |= self._counter.facts
        self._facts["uncounted"] = [name for name, count in self._facts["counts"].items() if count is None]

    @property
    def manifest(self) -> Mapping[str, Any]:
        return self._facts


@contextmanager
def dump(
    connection: Connection, options: PostgresOptions, settings: Mapping[str, Any], request: DumpRequest
) -> Iterator[PostgresDump]:
    with login(connection, options) as who, _connect(who, request) as session:
        client = pick(settings, at_least=session.server_major)
        session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        snapshot = session.value("SELECT pg_catalog.pg_export_snapshot()")
        selection = selection_of(options, request)
        require_possible(session, selection, request)
        relations = catalog.tables(session, selection, kinds=RELATIONS)
        tables = [relation for relation in relations if relation.kind in TABLES]
        what = held(relations, selection)
        facts = _facts(session, client, options, selection, tables) | {"facts": {"views": views(what)}}
        tool = _tool(client, who, options, selection, request, snapshot)
        with (
            start(tool, guard=request.guard, stdout=PIPE) as process,
            counting(session, tables, what, rows=options.counts != "off") as counter,
        ):
            yield PostgresDump(process, counter, facts, request)


def _connect(who: Login, request: DumpRequest) -> AbstractContextManager[Session]:
    return connect(who, lock_timeout_s=request.lock_timeout_s, guard=request.guard)


def _facts(
    session: Session,
    client: Client,
    options: PostgresOptions,
    selection: catalog.Selection,
    tables: list[catalog.Table],
) -> dict[str, Any]:
    return {
        "server_version": session.server_version,
        "tool_version": client.text,
        "format": options.format,
        "selection": {name: list(getattr(selection, name)) for name in ("include", "exclude", "schemas")},
        "schemas": sorted({table.schema for table in tables}),
        "tables": {table.name: {"kind": table.kind, "size": table.size} for table in tables},
        "tables_size": sum(table.size for table in tables),
        "counts": {table.name: None for table in tables if table.kind == "r"},
        **catalog.facts(session),
    }


def _tool(
    client: Client,
    who: Login,
    options: PostgresOptions,
    selection: catalog.Selection,
    request: DumpRequest,
    snapshot: str,
) -> Tool:
    argv = [client.tool("pg_dump"), "--no-password", f"--snapshot={snapshot}", "--strict-names"]
    argv.append(f"--lock-wait-timeout={request.lock_timeout_s * 1000}")
    # Compression is a later stage's: pg_dump's own gzip takes several times as long.
    argv += ["--format=custom", "--compress=0"] if options.format == "custom" else ["--format=plain"]
    argv += [f"--table={pattern}" for pattern in selection.include]
    argv += [f"--exclude-table={pattern}" for pattern in selection.exclude]
    argv += [f"--schema={pattern}" for pattern in selection.schemas if not selection.include]
    return Tool(argv=argv, env=who.env, secrets=who.secrets, known=KNOWN)
