"""The tables of a new site, made once in a test run: from nothing they take a site five seconds of processor time."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.servers.fetch import REPOSITORY, locked

QUICK = {"DJANGO_SETTINGS_MODULE": "tests.served"}


def prepare(data: Path) -> None:
    """Puts empty tables into a data folder without any. The site makes everything else when it starts."""
    put_tables(data / "backupsite.sqlite3")


def put_tables(database: Path) -> None:
    if not database.exists():
        database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copy(_template(), database)


def _template() -> Path:
    room = Path(os.environ["BACKUPSITE_TEST_ROOM"])
    folder = room / "template"
    with locked(room / "template.lock"):
        if not folder.exists():
            making = folder.with_suffix(".new")
            # Not by manage.py, which would list it in the audit of every site.
            subprocess.run(
                [sys.executable, "-m", "django", "migrate", "-v", "0", "--settings", "backupsite.settings"],
                env={"PATH": os.environ["PATH"], "BACKUPSITE_DATA_DIR": str(making)},
                cwd=REPOSITORY,
                check=True,
            )
            making.rename(folder)
    return folder / "backupsite.sqlite3"
