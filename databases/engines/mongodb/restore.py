"""Putting an archive back through mongorestore."""

import re
from collections.abc import Mapping
from typing import Any

from databases.engines.base import Connection, Guard, RestoreReport, RestoreRequest, Source
from databases.engines.feed import drain, feed
from databases.engines.mongodb import catalog
from databases.engines.mongodb.faults import KNOWN, ROWS
from databases.engines.mongodb.filter import FilteredSource
from databases.engines.mongodb.login import Login, login
from databases.engines.mongodb.masking import Masking
from databases.engines.mongodb.options import MongoOptions
from databases.engines.mongodb.peek import PeekedSource
from databases.engines.mongodb.plan import Into, Plan, make_plan
from databases.engines.mongodb.session import Client, ask
from databases.engines.mongodb.tools import pick
from databases.engines.process import PIPE, Tool, start
from jobs.errors import BackupError

FINISHED = re.compile(r"\tfinished restoring (?P<name>.+) \((?P<count>\d+) documents?, (?P<failed>\d+) failures?\)\Z")
TOTAL = re.compile(r"\t\d+ document\(s\) restored successfully\. (?P<failed>\d+) document\(s\) failed to restore\.\Z")
EXPIRED = "{name} holds {found} of {expected} documents: the server removes those that have expired."


class Reports:
    """What mongorestore says that it did. `failed` is None until it has said its total."""

    def __init__(self) -> None:
        self.by_name: dict[str, int] = {}
        self.failed: int | None = None

    def line(self, text: str) -> None:
        if found := FINISHED.search(text):
            self.by_name[found["name"]] = int(found["count"])
        elif found := TOTAL.search(text):
            self.failed = int(found["failed"])


def restore(
    connection: Connection,
    options: MongoOptions,
    settings: Mapping[str, Any],
    source: Source,
    request: RestoreRequest,
    scratch: Mapping[str, str] | None = None,
) -> RestoreReport:
    """Not all or nothing: MongoDB has no transaction over a restore.

    mongorestore writes while it reads. It never sees the end of an archive that is damaged or cut, and stops at the
    first error, so a restore that fails is seen to fail; what it had written by then stays, and with `drop_existing`
    those collections have lost their old contents. What the backup lacks is removed last, after the counts agree.
    What is to be masked is masked before mongorestore sees it, so that this holds for all that was ever written.
    """
    guard = request.guard
    client = pick(settings)
    peeked, into = PeekedSource(source), Into(connection.database_name, scratch)
    with login(connection, options) as who:
        plan = ask(
            who,
            lambda asked: make_plan(asked, into, peeked.members, source.manifest, request),
            guard=guard,
        )
        masking = Masking(plan.masking)
        wanted = FilteredSource(peeked, source.manifest, lambda member: member.namespace in plan.wanted, masking)
        argv = [client.tool("mongorestore"), f"--config={who.config}", "--archive", "--stopOnError"]
        argv += ["--maintainInsertionOrder", *plan.arguments]
        reports = Reports()
        tool = Tool(argv=argv, env=who.env, secrets=who.secrets, known=KNOWN, rows=ROWS, line=reports.line)
        with start(tool, guard=guard, stdin=PIPE) as process:
            whole = feed(wanted, process, guard)
            process.finish()
            process.words()
            if not whole:
                drain(wanted, guard.check)
        _require_done(plan, reports)
        counts = _compare(who, plan, guard)
        _remove(who, plan, guard)
    fewer = [name for name in sorted(plan.expiring & counts.keys()) if (counts[name] or 0) < plan.counts[name]]
    expired = tuple(EXPIRED.format(name=name, found=counts[name], expected=plan.counts[name]) for name in fewer)
    notes = plan.notes + expired + masking.notes()
    return RestoreReport(tool_version=client.text, counts=counts, notes=notes, masked=masking.rows)


def _require_done(plan: Plan, reports: Reports) -> None:
    """Raises BackupError(code="incomplete_restore") unless mongorestore reports all of it."""
    if reports.failed is None or reports.failed:
        said = "does not say how many" if reports.failed is None else f"says that {reports.failed}"
        raise _incomplete(f"mongorestore {said} documents failed to restore.")
    for name, count in plan.counts.items():
        if reports.by_name.get(name, count) != count:
            raise _incomplete(f"mongorestore restored {reports.by_name[name]} documents of {name}, not {count}.")


def _incomplete(message: str) -> BackupError:
    return BackupError(
        message,
        code="incomplete_restore",
        permanent=True,
        hint="The target holds a part of the backup. Restore once more with drop_existing while nobody writes to it.",
    )


def _compare(who: Login, plan: Plan, guard: Guard) -> dict[str, int | None]:
    """What the target holds now. Exact, unless the oplog was replayed: then the backup's counts are of before."""

    async def question(client: Client) -> dict[str, int | None]:
        found: dict[str, int | None] = {}
        for one in plan.members:
            if one.namespace in plan.counts and not catalog.is_users_or_roles(one.database, one.name):
                found[one.namespace] = await catalog.count(client, one.database, one.name, one.type)
        return found

    found = ask(who, question, guard=guard)
    for name, count in found.items():
        expired = name in plan.expiring and (count or 0) < plan.counts[name]
        if plan.exact and count != plan.counts[name] and not expired:
            raise _incomplete(f"{name} holds {count} documents, the backup holds {plan.counts[name]}.")
    return found


def _remove(who: Login, plan: Plan, guard: Guard) -> None:
    async def question(client: Client) -> None:
        for one in plan.leftovers:
            if not catalog.is_users_or_roles(one.database, one.name):
                await client[one.database].drop_collection(one.name)

    ask(who, question, guard=guard)
