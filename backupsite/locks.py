"""Locks between the site's processes: on all hosts that share a PostgreSQL, else on the host of the SQLite file."""

import fcntl
import os
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper


class SiteLock:
    """Held until `release` or the end of the process, whatever ends it; a connection or a file of its own holds it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._connection: BaseDatabaseWrapper | None = None
        self._file: int | None = None

    def try_acquire(self) -> bool:
        if connection.vendor != "postgresql":
            return self._lock_file()
        if self._connection is None:
            self._connection = connection.copy()
            self._connection.inc_thread_sharing()  # one thread takes the lock, another watches it
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [zlib.crc32(f"backupsite.{self.name}".encode())])
            return bool(cursor.fetchone()[0])

    def still_held(self) -> None:
        """Raises django.db.Error when the connection that held it is gone: somebody else may have it now."""
        if self._connection is not None:
            with self._connection.cursor() as cursor:
                cursor.execute("SELECT 1")

    def release(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _lock_file(self) -> bool:
        path = Path(settings.DATA_DIR) / f"{self.name}.lock"
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._file = handle
        return True


@contextmanager
def site_lock(name: str) -> Iterator[None]:
    """Waits for the lock."""
    lock = SiteLock(name)
    try:
        while not lock.try_acquire():
            time.sleep(0.2)
        yield
    finally:
        lock.release()
