"""Reading a stored archive to its end."""

from collections.abc import Mapping
from typing import Any

from databases.engines.base import Guard, Source
from databases.engines.feed import drain, feed
from databases.engines.postgres.clients import pick
from databases.engines.postgres.faults import KNOWN
from databases.engines.postgres.peek import PeekedSource
from databases.engines.postgres.structure import PostgresStructure, damaged
from databases.engines.process import PIPE, Tool, start


class _Watched:
    """A source that shows its blocks to a structure check."""

    def __init__(self, source: PeekedSource, structure: PostgresStructure) -> None:
        self._source = source
        self._structure = structure

    def readinto(self, buffer: bytearray | memoryview) -> int:
        count = self._source.readinto(buffer)
        self._structure.feed(memoryview(buffer)[:count])
        return count


def verify_structure(source: Source, guard: Guard, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """custom: pg_restore reads every byte and nothing is left over; plain: first and last lines (no tool reads SQL
    without a server). Both: the in-flight check once more. Raises BackupError(code="structure")."""
    peeked = PeekedSource(source)
    structure = PostgresStructure()
    watched = _Watched(peeked, structure)
    facts: dict[str, Any] = {}
    if peeked.head is None:
        drain(watched, guard.check)
    else:
        client = pick(settings, at_least=peeked.head.tool_major)
        argv = [client.tool("pg_restore"), "--file=/dev/null"]
        tool = Tool(argv=argv, env={"LC_ALL": "C"}, known=KNOWN)
        with start(tool, guard=guard, stdin=PIPE) as process:
            feed(watched, process, guard)
            process.finish()
            drain(watched, guard.check)
            if words := process.words():
                raise damaged(f"pg_restore complains: {words[-500:]}")
        facts["tool_version"] = client.text
    return {**facts, **structure.finish()}
