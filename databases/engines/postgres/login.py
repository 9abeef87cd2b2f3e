"""How the tools and our own connection learn where to go and who we are: never by argv, never by a password in env."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from databases.engines.base import Connection
from databases.engines.postgres.options import PostgresOptions

APPLICATION = "backupsite"
CONNECT_TIMEOUT_S = 15
PREFIX = "backupsite-pg-"
FRESH_S = 5.0  # a folder this young may not be locked yet
SETTINGS = {
    "application_name": APPLICATION,
    "connect_timeout": str(CONNECT_TIMEOUT_S),
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "6",
}


@dataclass(frozen=True)
class Login:
    """`env` is a child's whole environment; `parameters` are the same for psycopg2."""

    env: Mapping[str, str]
    parameters: Mapping[str, Any]
    folder: Path
    secrets: tuple[str, ...]


@contextmanager
def login(connection: Connection, options: PostgresOptions) -> Iterator[Login]:
    """A 0700 folder with passfile, service file and PEM files (0600), which is removed at the end."""
    _remove_left()
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name, _in_use(name):
        folder = Path(name)
        place = {
            "host": connection.host,
            "port": str(connection.port or 5432),
            "user": connection.username,
            "dbname": connection.database_name,
            "sslmode": options.sslmode,
            **SETTINGS,
        }
        for option in ("sslrootcert", "sslcert", "sslkey"):
            if text := getattr(options, option):
                place[option] = str(_write(folder / f"{option}.pem", text.strip() + "\n"))
        # A passfile's line escapes ':' and '\'; wildcards keep the other fields out of it.
        escaped = connection.password.replace("\\", "\\\\").replace(":", "\\:")
        passfile = _write(folder / "passfile", f"*:*:*:*:{escaped}\n" if escaped else "")
        place["passfile"] = str(passfile)
        service = "".join(f"{key}={value}\n" for key, value in place.items())
        _write(folder / "service", f"[backupsite]\n{service}")
        env = {
            "PATH": os.defpath,
            "HOME": str(folder),  # no ~/.pgpass, ~/.psqlrc, ~/.postgresql of the worker's user
            "LC_ALL": "C",
            "PGSERVICEFILE": str(folder / "service"),
            "PGSERVICE": APPLICATION,
        }
        yield Login(
            env=env,
            parameters=place,
            folder=folder,
            secrets=(connection.password, escaped, options.sslkey.strip()),
        )


@contextmanager
def _in_use(folder: str) -> Iterator[None]:
    """The lock ends with the process, whatever ends it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove_left() -> None:
    """The folders of killed processes: they hold passwords."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue  # another user's, or gone meanwhile
        try:
            if time.time() - os.fstat(descriptor).st_mtime > FRESH_S:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            continue  # in use
        finally:
            os.close(descriptor)


def _write(path: Path, text: str) -> Path:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return path
