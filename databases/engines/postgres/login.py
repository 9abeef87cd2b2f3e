"""How the tools and our own connection learn where to go and who we are: never by argv, never by a password in env."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from databases.engines.base import Connection
from databases.engines.folder import secret_folder, write_secret
from databases.engines.postgres.options import PostgresOptions

APPLICATION = "backupsite"
CONNECT_TIMEOUT_S = 15
PREFIX = "backupsite-pg-"
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
    with secret_folder(PREFIX) as folder:
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
                place[option] = str(write_secret(folder / f"{option}.pem", text.strip() + "\n"))
        # A passfile's line escapes ':' and '\'; wildcards keep the other fields out of it.
        escaped = connection.password.replace("\\", "\\\\").replace(":", "\\:")
        passfile = write_secret(folder / "passfile", f"*:*:*:*:{escaped}\n" if escaped else "")
        place["passfile"] = str(passfile)
        service = "".join(f"{key}={value}\n" for key, value in place.items())
        write_secret(folder / "service", f"[backupsite]\n{service}")
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
