"""Private folders for what a tool has to read from a file: passwords, certificates, keys."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FRESH_S = 5.0  # a folder this young may not be locked yet


@contextmanager
def secret_folder(prefix: str, *, parent: str = "") -> Iterator[Path]:
    """A new 0700 folder, which is removed at the end, as are those with this prefix that killed processes left.

    It lies in `parent`, which is made, else where the host keeps its temporary files.
    """
    if parent:
        Path(parent).mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove_left(prefix, Path(parent or tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=prefix, dir=parent or None) as name, _in_use(name):
        yield Path(name)


def write_secret(path: Path, text: str) -> Path:
    """A new file that nobody else can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return path


@contextmanager
def _in_use(folder: str) -> Iterator[None]:
    """The lock ends with the process, whatever ends it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove_left(prefix: str, parent: Path) -> None:
    for folder in parent.glob(f"{prefix}*"):
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
