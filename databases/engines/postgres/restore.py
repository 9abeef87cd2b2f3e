"""Putting a dump back through psql, in one transaction that only we can commit."""

import errno
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from databases.engines.base import Connection, Guard, RestoreReport, RestoreRequest, Source
from databases.engines.feed import drain, feed
from databases.engines.postgres.archive import major_of
from databases.engines.postgres.clients import Client, pick
from databases.engines.postgres.faults import KNOWN, ROWS
from databases.engines.postgres.login import Login, login
from databases.engines.postgres.masking import Masked
from databases.engines.postgres.options import PostgresOptions
from databases.engines.postgres.peek import PeekedSource
from databases.engines.postgres.plan import Plan, make_plan
from databases.engines.postgres.relay import Relay, for_server
from databases.engines.postgres.session import connect
from databases.engines.process import PIPE, Process, Tool, start
from jobs.errors import BackupError

OLDEST_CLIENT = 14
POLL_S = 0.02


def restore(
    connection: Connection,
    options: PostgresOptions,
    settings: Mapping[str, Any],
    source: Source,
    request: RestoreRequest,
) -> RestoreReport:
    """All or nothing: a restore that fails leaves the target as it was, `drop_existing` included.

    psql runs, in one transaction: what empties the target, the dump's SQL (a plain dump itself; a custom one turned
    into SQL by pg_restore), the comparison of the row counts with the manifest, and the masking. The last two come out
    of a FIFO that we fill only when the source has verified its end and pg_restore has ended with 0: until then psql
    cannot commit. Two exceptions, both said in the report's notes and refused where rows are masked: more objects than
    the target can lock at once are restored in many transactions, and a plain dump with large objects commits by
    itself behind these.

    With `include` only these tables, and what makes them whole, are written; `drop_existing` then drops these alone
    (never what depends on them: that fails).
    """
    peeked = PeekedSource(source)
    with login(connection, options) as who:
        with connect(who, guard=request.guard) as session:
            plan = make_plan(session, peeked, request)
            major = session.server_major
        made_with = peeked.head.tool_version if peeked.head else str(source.manifest.get("tool_version", ""))
        client = pick(settings, at_least=max(major_of(made_with), OLDEST_CLIENT))
        masked = Masked(request.masking)
        with _psql(client, who, plan, masked, request.guard) as (psql, gate):
            if peeked.head is not None:
                _through_pg_restore(client, who, plan, peeked, psql, major, request.guard)
            else:
                peeked.beginning = for_server(peeked.beginning, major)
                feed(peeked, psql, request.guard)
            _open_gate(gate, plan.epilogue, psql, request.guard)
            psql.finish()
            psql.words()  # all that it said has been counted
    notes = (*plan.notes, *masked.notes())
    return RestoreReport(tool_version=client.text, counts=plan.counts, notes=notes, masked=masked.rows)


@contextmanager
def _psql(client: Client, who: Login, plan: Plan, masked: Masked, guard: Guard) -> Iterator[tuple[Process, Path]]:
    prologue, gate = who.folder / "prologue.sql", who.folder / "epilogue.sql"
    prologue.write_text(plan.prologue, encoding="utf-8")
    os.mkfifo(gate, 0o600)
    argv = [client.tool("psql"), "--no-psqlrc", "--no-password", "--quiet", "--set=ON_ERROR_STOP=1"]
    argv += [f"--file={prologue}", "--file=-", f"--file={gate}"]
    env = {**who.env, "PGCLIENTENCODING": "UTF8"}
    tool = Tool(argv=argv, env=env, secrets=who.secrets, known=KNOWN, rows=ROWS, line=masked.line)
    with start(tool, guard=guard, stdin=PIPE) as process:
        yield process, gate


def _through_pg_restore(
    client: Client, who: Login, plan: Plan, source: PeekedSource, psql: Process, server_major: int, guard: Guard
) -> None:
    argv = [client.tool("pg_restore"), "--file=-", "--exit-on-error", *plan.options]
    argv += ["--single-transaction"] if plan.atomic else []
    if plan.lines is not None:
        uses = who.folder / "uses.list"
        uses.write_text("".join(f"{line}\n" for line in plan.lines), encoding="utf-8")
        argv.append(f"--use-list={uses}")
    tool = Tool(argv=argv, env={"LC_ALL": "C"}, known=KNOWN)
    with start(tool, guard=guard, stdin=PIPE, stdout=PIPE) as process:
        relay = Relay(process.stdout, psql.stdin, server_major=server_major, atomic=plan.atomic)
        relay.start()
        try:
            feed(source, process, guard)
            _finish(process, relay, psql)
            drain(source, guard.check)  # selected tables: pg_restore did not want the rest, its end counts all the same
            relay.join()
            if relay.error is not None:
                raise relay.error
        except BaseException:
            psql.kill()
            process.kill()
            raise
        finally:
            relay.join()


def _finish(process: Process, relay: Relay, psql: Process) -> None:
    """When psql refused pg_restore's SQL both fail: psql says why."""
    try:
        process.finish()
    except BackupError as error:
        if relay.refused:
            psql.finish()
        raise relay.error or error from None


def _open_gate(gate: Path, epilogue: str, psql: Process, guard: Guard) -> None:
    """Waits until psql has done all before and reads the FIFO, then lets it compare and commit."""
    while (descriptor := _writer(gate)) is None:
        guard.check()
        if psql.ended():
            psql.finish()
            raise BackupError(
                "psql ended before the dump did: nothing was restored.", code="tool_failed", permanent=True
            )
        time.sleep(POLL_S)
    guard.check()
    with suppress(BrokenPipeError), os.fdopen(descriptor, "wb") as file:
        os.set_blocking(descriptor, True)
        file.write(epilogue.encode())


def _writer(gate: Path) -> int | None:
    try:
        return os.open(gate, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno != errno.ENXIO:  # nobody reads yet
            raise
        return None
