"""A running Backupsite of our own: `manage.py serve` on a free port, with a fresh data folder."""

import os
import secrets
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from demo.client import Client
from tests.servers.process import free_port, running

REPOSITORY = Path(__file__).resolve().parents[1]
STARTS_WITHIN_S = 90


@dataclass(frozen=True)
class Site:
    """`pid` is the supervisor's; `ready_s` how long it took until /readyz said yes."""

    url: str
    username: str
    password: str = field(repr=False)
    data: Path
    log: Path
    pid: int
    ready_s: float

    def login(self) -> Client:
        return Client(self.url, self.username, self.password)


@contextmanager
def running_site(
    folder: Path, *, pg_bin_dir: Path, port: int | None = None, env: Mapping[str, str] | None = None
) -> Iterator[Site]:
    """Serves from `folder`/data until the context ends. Raises ServerError with the end of its log when it cannot."""
    port = port or free_port()
    password_file, log, data = folder / "admin-password", folder / "serve.log", folder / "data"
    if not password_file.exists():
        password_file.touch(mode=0o600)
        password_file.write_text(secrets.token_urlsafe(12) + "\n")
    url, started = f"http://127.0.0.1:{port}", time.monotonic()
    with running(
        [sys.executable, str(REPOSITORY / "manage.py"), "serve"],
        log=log,
        ready=lambda: _ready(url),
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "BACKUPSITE_DATA_DIR": str(data),
            "BACKUPSITE_HOST": "127.0.0.1",
            "BACKUPSITE_PORT": str(port),
            "BACKUPSITE_ADMIN_USERNAME": "admin",
            "BACKUPSITE_ADMIN_PASSWORD_FILE": str(password_file),
            "BACKUPSITE_PG_BIN_DIRS": str(pg_bin_dir),
            "BACKUPSITE_SELF_BACKUP": "false",  # the demo counts the Databases that it shows
            **(env or {}),
        },
        timeout=STARTS_WITHIN_S,
    ) as process:
        password = password_file.read_text().rstrip("\n")
        yield Site(url, "admin", password, data, log, process.pid, time.monotonic() - started)


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False
