"""What can be set for an SQLite Database, and which files of the host it may name."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from jobs.errors import BackupError

LONGEST = 1024


@dataclass(frozen=True)
class SqliteOptions:
    path: str = field(default="", metadata={"help": "Absolute path of the database's file on the worker's host."})


def faults_of(options: SqliteOptions) -> dict[str, str]:
    path = PurePosixPath(options.path)
    if not options.path:
        return {"options.path": "The path of a file is needed."}
    if not path.is_absolute() or ".." in path.parts or "\0" in options.path or len(options.path) > LONGEST:
        return {"options.path": f"An absolute path without '..' is wanted, of at most {LONGEST} characters."}
    return {}


def allowed_file(options: SqliteOptions, settings: Mapping[str, Any]) -> Path:
    """The real file behind the path; symbolic links are followed before it is looked where it lies.

    Raises BackupError(code="path_not_allowed") for what lies in no folder that this host's settings name, unless it is
    the site's own database.
    """
    real = Path(os.path.realpath(options.path))
    own = settings.get("sqlite_own", "")
    folders = [Path(os.path.realpath(folder)) for folder in settings.get("sqlite_folders", ())]
    if faults_of(options) or not (is_own(real, settings) or any(folder in real.parents for folder in folders)):
        raise BackupError(
            "This file lies in no folder that SQLite databases may be in.",
            code="path_not_allowed",
            permanent=True,
            hint="BACKUPSITE_SQLITE_FOLDERS names the folders on the worker's host; symbolic links out of them do not "
            f"count. {'Without it only the site itself can be backed up.' if own and not folders else ''}".strip(),
        )
    return real


def is_own(real: Path, settings: Mapping[str, Any]) -> bool:
    own = settings.get("sqlite_own", "")
    return bool(own) and real == Path(os.path.realpath(own))
