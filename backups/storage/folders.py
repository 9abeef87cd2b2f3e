"""Folders opened step by step, so that neither a symlink nor `..` can lead out of a Destination."""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from jobs.errors import BackupError

_STEP = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_FAULTS = {  # errno -> code, what to say, permanent, hint
    errno.ENOSPC: ("destination_full", "No space is left for {what}.", False, "Free space or keep fewer backups."),
    errno.EDQUOT: ("destination_full", "The disk quota ends before {what}.", False, "Raise the quota or free space."),
    errno.EFBIG: ("destination_full", "{what} is larger than a file may be there.", True, "Raise the file size limit."),
    errno.EROFS: ("destination_read_only", "{what} is on a read-only filesystem.", True, "Remount it for writing."),
    errno.EACCES: ("destination_permission", "Access to {what} is refused.", True, "Give its folder to this user."),
    errno.EPERM: ("destination_permission", "Access to {what} is refused.", True, "Give its folder to this user."),
    errno.ENOENT: ("object_missing", "There is no {what}.", True, ""),
    errno.EEXIST: ("upload_exists", "{what} is being written already.", False, "Abort the unfinished upload first."),
    errno.ELOOP: ("invalid_key", "{what} is a symlink.", True, "A destination holds real files and folders only."),
    errno.ENOTDIR: ("invalid_key", "{what} leads through something that is no folder.", True, ""),
    errno.ENAMETOOLONG: ("invalid_key", "{what} is too long a name for that filesystem.", True, ""),
}


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turns the operating system's error about `what` into a BackupError; an unknown one is `destination_error`."""
    try:
        yield
    except OSError as error:
        default = ("destination_error", "{what}: " + str(error.strerror or error), False, "")
        code, message, permanent, hint = _FAULTS.get(error.errno or 0, default)
        raise BackupError(message.format(what=what), code=code, permanent=permanent, hint=hint) from error


@contextmanager
def open_root(path: Path, *, marker_file: str, marker: str) -> Iterator[int]:
    """The Destination's folder, when it holds the marker file with that text (any text when `marker` is empty)."""
    with translated(str(path)):
        try:
            root = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise BackupError(
                f"{path} is not a folder.", code="destination_missing", hint="Create it, or mount its disk."
            ) from error
    try:
        with translated(str(path)):
            found = _read_marker(root, path, marker_file)
        if marker and found != marker:
            raise BackupError(
                f"{path} belongs to another destination.",
                code="destination_marker_foreign",
                hint="Mount the right disk there, or give each destination a folder of its own.",
            )
        yield root
    finally:
        os.close(root)


def _read_marker(root: int, path: Path, marker_file: str) -> str:
    try:
        fd = os.open(marker_file, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=root)
    except FileNotFoundError as error:
        raise BackupError(
            f"{path} has no marker file {marker_file}.",
            code="destination_marker_missing",
            hint="Is the disk mounted? A new destination gets its marker when it is added.",
        ) from error
    try:
        return os.read(fd, 1024).decode(errors="replace").strip()
    finally:
        os.close(fd)


@contextmanager
def open_folder(root: int, names: Sequence[str], *, key: str, create: bool = False) -> Iterator[int]:
    """The folder `names` below the open folder `root`; `create` makes what is missing, durably, as 0700."""
    with translated(key):
        folder = os.dup(root)
        try:
            for name in names:
                folder = _step(folder, name, create=create)
        except BaseException:
            os.close(folder)
            raise
    try:
        yield folder
    finally:
        os.close(folder)


def _step(folder: int, name: str, *, create: bool) -> int:
    """Opens `name` in `folder` and closes `folder`; on an error `folder` stays open."""
    if create:
        try:
            os.mkdir(name, 0o700, dir_fd=folder)
            os.fsync(folder)
        except FileExistsError:
            pass
    child = os.open(name, _STEP, dir_fd=folder)
    os.close(folder)
    return child
