"""What a local Destination does with single files: write, read, list, remove. Errors are the operating system's own."""

import ctypes
import os
import stat as modes
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

from backups.storage.base import StoredObject
from backups.storage.folders import open_folder, translated
from backups.storage.keys import PARTIAL
from jobs.errors import BackupError

MARKER_FILE = ".backupsite-destination"

_SYNC_FILE_RANGE_WRITE = 2
_sync_file_range = getattr(ctypes.CDLL(None), "sync_file_range", None)


def start_writeback(fd: int, start: int, length: int) -> None:
    """Asks the kernel to begin writing out, so that the fsync at the end finds little left. Linux only.

    It waits for nothing and takes no error away from that fsync.
    """
    if _sync_file_range is not None:
        _sync_file_range(fd, ctypes.c_int64(start), ctypes.c_int64(length), ctypes.c_uint(_SYNC_FILE_RANGE_WRITE))


class FileReader:
    """Reads exactly `left` bytes of an open file; a file that ends before is an error."""

    def __init__(self, fd: int, key: str, left: int) -> None:
        self._fd, self._key, self._left = fd, key, left

    def readinto(self, buffer: bytearray | memoryview) -> int:
        with memoryview(buffer) as whole, whole[: self._left] as wanted:
            filled = 0
            while filled < len(wanted):
                with translated(self._key):
                    count = os.readv(self._fd, [wanted[filled:]])
                if not count:
                    raise BackupError(f"{self._key} ended before its size.", code="object_truncated")
                filled += count
        self._left -= filled
        return filled


def walk(folder: int, path: str, prefix: str, *, unfinished: bool = False) -> Iterator[StoredObject]:
    """The objects, or with `unfinished` what writes that have not ended left, under the keys they would have."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries)
    for name in names:
        key = path + name
        if not (key.startswith(prefix) or prefix.startswith(key + "/")):
            continue
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            continue  # deleted meanwhile
        if modes.S_ISDIR(found.st_mode):
            with open_folder(folder, [name], key=key) as child:
                yield from walk(child, key + "/", prefix, unfinished=unfinished)
        elif modes.S_ISREG(found.st_mode) and name.endswith(PARTIAL) is unfinished and key != MARKER_FILE:
            yield stored(key.removesuffix(PARTIAL), found)


def stored(key: str, found: os.stat_result) -> StoredObject:
    return StoredObject(key=key, size=found.st_size, modified=datetime.fromtimestamp(found.st_mtime, UTC))


def write_all(fd: int, block: memoryview) -> None:
    while block:
        block = block[os.write(fd, block) :]


def free_space(fd: int) -> int:
    figures = os.fstatvfs(fd)
    return figures.f_bavail * figures.f_frsize


def exists(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def remove(folder: int, name: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
