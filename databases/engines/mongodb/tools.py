"""Which mongodump and mongorestore to use."""

import functools
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from databases.engines.process import output_of
from jobs.errors import BackupError

INSTALLED = (
    "usr/bin",
    "usr/local/bin",
    "opt/mongodb*/bin",
    "opt/mongodb-database-tools*/bin",
    "usr/local/mongodb*/bin",
)
TOOLS = ("mongodump", "mongorestore")
HINT = (
    "Install MongoDB Database Tools (mongodb.com/try/download/database-tools; the package mongodb-database-tools of "
    "MongoDB's own repository), or name their folder in BACKUPSITE_MONGO_BIN_DIRS."
)


@dataclass(frozen=True, order=True)
class Client:
    """A folder with both tools; ordered by version (100.7.0)."""

    version: tuple[int, ...]
    folder: Path

    @property
    def text(self) -> str:
        return ".".join(map(str, self.version))

    def tool(self, name: str) -> str:
        return str(self.folder / name)


def clients(settings: Mapping[str, Any]) -> list[Client]:
    """Every client found: `mongo_bin_dirs` of the settings, the PATH, and where packages put them."""
    folders = [*settings.get("mongo_bin_dirs", ()), *os.environ.get("PATH", "").split(os.pathsep)]
    for pattern in INSTALLED:
        folders += map(str, Path("/").glob(pattern))
    found = (_client(str(Path(folder).resolve())) for folder in dict.fromkeys(folders) if folder)
    return sorted({client for client in found if client})


def _client(folder: str) -> Client | None:
    paths = [Path(folder, tool) for tool in TOOLS]
    if not all(os.access(path, os.X_OK) for path in paths):
        return None
    return _probed(folder, paths[0].stat().st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _probed(folder: str, changed_ns: int) -> Client | None:
    try:
        numbers = re.search(r"(\d+(?:\.\d+)+)", output_of([f"{folder}/mongodump", "--version"]))
    except BackupError:
        return None
    return Client(tuple(map(int, numbers[1].split("."))), Path(folder)) if numbers else None


def pick(settings: Mapping[str, Any]) -> Client:
    """The newest: each release reads and writes the archives of all. Raises BackupError(code="tool_missing")."""
    found = clients(settings)
    if not found:
        raise BackupError(
            "mongodump and mongorestore were not found on this host.", code="tool_missing", permanent=True, hint=HINT
        )
    return found[-1]
