"""Which pg_dump, pg_restore and psql to use."""

import functools
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from databases.engines.process import output_of
from jobs.errors import BackupError

INSTALLED = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "usr/local/pgsql/bin")
TOOLS = ("pg_dump", "pg_restore", "psql")


@dataclass(frozen=True, order=True)
class Client:
    """A folder with all three tools; ordered by version."""

    version: tuple[int, ...]
    folder: Path

    @property
    def major(self) -> int:
        return self.version[0]

    @property
    def text(self) -> str:
        return ".".join(map(str, self.version))

    def tool(self, name: str) -> str:
        return str(self.folder / name)


def clients(settings: Mapping[str, Any]) -> list[Client]:
    """Every client found: `pg_bin_dirs` of the settings, the PATH, and where packages put them."""
    folders = [*settings.get("pg_bin_dirs", ()), *os.environ.get("PATH", "").split(os.pathsep)]
    for pattern in INSTALLED:
        folders += map(str, Path("/").glob(pattern))
    found = (_client(str(Path(folder).resolve())) for folder in dict.fromkeys(folders) if folder)
    return sorted({client for client in found if client})


def _client(folder: str) -> Client | None:
    paths = [Path(folder, tool) for tool in TOOLS]
    # Debian's /usr/bin/pg_dump is a wrapper that picks a version by itself; the real ones are found beside it.
    if not all(os.access(path, os.X_OK) and path.resolve().name != "pg_wrapper" for path in paths):
        return None
    return _probed(folder, paths[0].stat().st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _probed(folder: str, changed_ns: int) -> Client | None:
    try:
        numbers = re.search(r"(\d+(?:\.\d+)+)", output_of([f"{folder}/pg_dump", "--version"]))
    except BackupError:
        return None
    return Client(tuple(map(int, numbers[1].split("."))), Path(folder)) if numbers else None


def pick(settings: Mapping[str, Any], *, at_least: int) -> Client:
    """The smallest major version that is not older than `at_least`, of it the newest release.

    The smallest, because what a newer pg_dump writes may not restore into an older server. Raises
    BackupError(code="client_too_old" or "tool_missing").
    """
    found = clients(settings)
    fitting = [client for client in found if client.major >= at_least]
    if fitting:
        return max(client for client in fitting if client.major == fitting[0].major)
    have = ", ".join(client.text for client in found)
    raise BackupError(
        f"No PostgreSQL client of version {at_least} or newer was found" + (f" (only {have})." if have else "."),
        code="client_too_old" if found else "tool_missing",
        permanent=True,
        hint=f"Install postgresql-client-{at_least}, or name its folder in BACKUPSITE_PG_BIN_DIRS.",
    )


def pick_server(settings: Mapping[str, Any], *, at_least: int) -> Client:
    """Like `pick`, of the folders that hold a server as well. Raises BackupError(code="no_scratch")."""
    found = [
        client
        for client in clients(settings)
        if all(os.access(client.tool(program), os.X_OK) for program in ("initdb", "postgres"))
    ]
    fitting = [client for client in found if client.major >= at_least]
    if fitting:
        return max(client for client in fitting if client.major == fitting[0].major)
    have = ", ".join(client.text for client in found)
    raise BackupError(
        f"No PostgreSQL server of version {at_least} or newer is installed here"
        + (f" (only {have})." if have else "."),
        code="no_scratch",
        permanent=True,
        hint=f"Name a drill server, or install postgresql-{at_least} on the worker's host.",
    )
