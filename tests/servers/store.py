"""Where what is fetched for the tests is kept: whole or not at all, by one process at a time."""

import fcntl
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.apt import Missing

REPOSITORY = Path(__file__).resolve().parents[2]


def servers_folder() -> Path:
    return Path(os.environ.get("BACKUPSITE_TEST_SERVERS") or REPOSITORY / ".servers")


def fetch_once(folder: Path, make: Callable[[Path], None]) -> None:
    """`make(fresh)` fills a folder that then takes its place as `folder`, unless that is there already."""
    if folder.exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder.parent / ".lock"):
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as work:
                fresh = Path(work) / folder.name
                make(fresh)
                fresh.rename(folder)  # whole or not at all


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Waits until this process alone holds the lock file; the kernel releases it should we die."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def pip(python: Path, *arguments: str) -> None:
    """Raises Missing in pip's own words."""
    done = subprocess.run(
        [str(python), "-m", "pip", "--disable-pip-version-check", *arguments],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise Missing(f"pip {' '.join(arguments)} failed:\n{done.stderr[-2000:]}")
