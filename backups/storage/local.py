"""A folder of this host, or one that is mounted on it, as a Destination."""

import os
import stat as modes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.core.files.storage import FileSystemStorage

from backups.storage.base import (
    ObjectStorage,
    Stored,
    StoredObject,
    UnfinishedWrite,
    ignore_stored,
    ignore_upload,
    never_stop,
)
from backups.storage.files import (
    MARKER_FILE,
    FileReader,
    exists,
    free_space,
    remove,
    start_writeback,
    stored,
    walk,
    write_all,
)
from backups.storage.folders import open_folder, open_root, translated
from backups.storage.keys import PARTIAL, validate_key
from backups.storage.readers import BytesReader, Reader, fill
from jobs.errors import BackupError

BLOCK = 1 << 20
FLUSH_EVERY = 16 << 20
RESERVE = 64 << 20


class LocalStorage(ObjectStorage, FileSystemStorage):
    """Objects are 0600 files in 0700 folders below `path`.

    A marker file proves that the right disk is mounted: without it (or with another `marker` text in it) everything
    is refused, so that a missing mount is neither filled nor taken for an empty Destination. An empty `marker`
    accepts any. `reserve_bytes` of the disk are always left free.
    """

    def __init__(self, path: str | Path, *, reserve_bytes: int = RESERVE, marker: str = "") -> None:
        super().__init__(location=str(path), file_permissions_mode=0o600, directory_permissions_mode=0o700)
        self.root = Path(path)
        self.reserve_bytes = reserve_bytes
        self.marker = marker

    def prepare(self) -> None:
        """Makes the folder and its marker. One that another Destination marked is left alone and refused."""
        with translated(str(self.root)):
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            marker_file = self.root / MARKER_FILE
            if not marker_file.exists():
                fd = os.open(marker_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(fd, "w") as file:
                    file.write(self.marker)
                    file.flush()
                    os.fsync(fd)
        with self._root():
            pass

    def write(
        self,
        key: str,
        reader: Reader,
        *,
        on_upload: Callable[[str], None] = ignore_upload,
        on_stored: Callable[[Stored], None] = ignore_stored,
        check: Callable[[], None] = never_stop,
    ) -> int:
        return self._publish(key, reader, check=check, replace=False)

    def write_text(self, key: str, text: str, *, on_stored: Callable[[Stored], None] = ignore_stored) -> None:
        self.abort_uploads(key)
        self._publish(key, BytesReader(text.encode()), check=never_stop, replace=True)

    def _publish(self, key: str, reader: Reader, *, check: Callable[[], None], replace: bool) -> int:
        with self._folder(key, create=True) as (folder, name):
            if not replace and exists(folder, name):
                raise BackupError(f"There is already an object {key}.", code="object_exists", permanent=True)
            written = name + PARTIAL
            with translated(key):
                fd = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
            try:
                try:
                    size = self._pump(fd, reader, key=key, check=check)
                finally:
                    os.close(fd)
                with translated(key):
                    os.rename(written, name, src_dir_fd=folder, dst_dir_fd=folder)
                    written = name
                    os.fsync(folder)
            except BaseException:
                remove(folder, written)
                raise
        return size

    def _pump(self, fd: int, reader: Reader, *, key: str, check: Callable[[], None]) -> int:
        size = flushed = 0
        with memoryview(bytearray(BLOCK)) as block:
            while True:
                with translated(key):
                    self._keep_reserve(fd)
                count = fill(reader, block)
                with translated(key):
                    write_all(fd, block[:count])
                    size += count
                    if size - flushed >= FLUSH_EVERY:
                        start_writeback(fd, flushed, size - flushed)
                        flushed = size
                if count < BLOCK:
                    break
                check()
        with translated(key):
            os.fsync(fd)
        return size

    def _keep_reserve(self, fd: int) -> None:
        if free_space(fd) <= self.reserve_bytes:
            raise BackupError(
                f"{self.root} is full: only the reserve of {self.reserve_bytes} bytes is left.",
                code="destination_full",
                hint="Free space there, keep fewer backups, or use another destination.",
            )

    @contextmanager
    def open_stream(
        self, key: str, *, start: int = 0, length: int | None = None, version_id: str = ""
    ) -> Iterator[Reader]:
        fd = self._open_object(key)
        try:
            size = os.fstat(fd).st_size
            end = size if length is None else start + length
            if not 0 <= start <= end <= size:
                raise BackupError(f"{key} has {size} bytes, {end} were asked for.", code="object_truncated")
            os.lseek(fd, start, os.SEEK_SET)
            yield FileReader(fd, key, end - start)
        finally:
            os.close(fd)

    def _open_object(self, key: str) -> int:
        with self._folder(key) as (folder, name), translated(key):
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        if modes.S_ISREG(os.fstat(fd).st_mode):
            return fd
        os.close(fd)
        raise BackupError(f"{key} is not a file.", code="object_missing", permanent=True)

    def stat(self, key: str, *, version_id: str = "") -> StoredObject | None:
        try:
            with self._folder(key) as (folder, name), translated(key):
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except BackupError as error:
            if error.code == "object_missing":
                return None
            raise
        return stored(key, found) if modes.S_ISREG(found.st_mode) else None

    def delete(self, name: str, *, version_id: str | None = None) -> None:
        self._remove_durably(name, suffix="")

    def abort_uploads(self, key: str, *, upload_id: str | None = None) -> int:
        return int(self._remove_durably(key, suffix=PARTIAL))

    def _remove_durably(self, key: str, *, suffix: str) -> bool:
        try:
            with self._folder(key) as (folder, name), translated(key):
                os.unlink(name + suffix, dir_fd=folder)
                os.fsync(folder)
        except BackupError as error:
            if error.code == "object_missing":
                return False
            raise
        return True

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        with self._root() as root, translated(str(self.root)):
            yield from walk(root, "", prefix)

    def list_unfinished(self, prefix: str = "") -> Iterator[UnfinishedWrite]:
        with self._root() as root, translated(str(self.root)):
            for found in walk(root, "", prefix, unfinished=True):
                yield UnfinishedWrite(found.key, found.modified)

    def presigned_url(self, key: str, *, expires_in: int, filename: str, version_id: str = "") -> str | None:
        return None

    def free_bytes(self) -> int:
        with self._root() as root:
            return max(0, free_space(root) - self.reserve_bytes)

    @contextmanager
    def _root(self) -> Iterator[int]:
        with open_root(self.root, marker_file=MARKER_FILE, marker=self.marker) as fd:
            yield fd

    @contextmanager
    def _folder(self, key: str, *, create: bool = False) -> Iterator[tuple[int, str]]:
        """The open folder of `key` and its last name. What the caller does with them cannot leave the root."""
        *folders, name = validate_key(key).split("/")
        with self._root() as root, open_folder(root, folders, key=key, create=create) as folder:
            yield folder, name
