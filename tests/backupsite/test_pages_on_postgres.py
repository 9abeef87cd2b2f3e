"""Whatever answers a GET does so with PostgreSQL as the site's own database: nearly all other tests have SQLite."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers.fetch import REPOSITORY
from tests.servers.postgres import PostgresServer

pytestmark = pytest.mark.slow


def test_every_page_list_and_figure_is_there(
    tmp_path: Path, postgres: Callable[[int], PostgresServer], fresh_database: Callable[[PostgresServer], str]
) -> None:
    server = postgres(16)
    done = subprocess.run(
        [sys.executable, "-m", "tests.backupsite.every_page"],
        cwd=REPOSITORY,
        env={
            "PATH": os.environ["PATH"],
            "BACKUPSITE_DATA_DIR": str(tmp_path),
            "BACKUPSITE_SELF_BACKUP": "false",
            "DATABASE_URL": server.dsn(fresh_database(server)),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["wrong"] == {}
    assert found["on"] == "postgresql"
    least = {"dashboard": 2, "metrics": 1, "page": 150, "asked list": 60, "API": 20, "asked API": 80}
    assert {kind: found["opened"][kind] for kind in least if found["opened"][kind] < least[kind]} == {}
