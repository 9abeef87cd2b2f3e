"""What every Destination's storage promises, and what both implementations share."""

import time
import uuid
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any

from django.core.files.base import File
from django.core.files.storage import Storage

from backups.storage.keys import validate_key
from backups.storage.readers import BytesReader, Reader, reader_of
from jobs.errors import BackupError

PERMISSION = "destination_permission"
PROBE = "backupsite probe"


@dataclass(frozen=True)
class StoredObject:
    """`key` is relative to the Destination, `size` is bytes, `modified` is aware and in UTC."""

    key: str
    size: int
    modified: datetime


@dataclass(frozen=True)
class UnfinishedWrite:
    """What a write left that never ended, or that still runs. `upload_id` is empty where a store has no such thing."""

    key: str
    started: datetime
    upload_id: str = ""


@dataclass(frozen=True)
class Stored:
    """What a store made of an object: its version, and until when it deletes that for nobody. Most have neither."""

    version_id: str = ""
    retain_until: datetime | None = None


@dataclass(frozen=True)
class DestinationReport:
    """The outcome of a destination check. `error`, `code` and `hint` are empty when `ok`.

    `latency_ms` is the time one small object took to store; `free_bytes` is None where the store has no such figure.
    """

    ok: bool
    latency_ms: float | None = None
    free_bytes: int | None = None
    warnings: tuple[str, ...] = ()
    error: str = ""
    code: str = ""
    hint: str = ""


def ignore_upload(upload_id: str) -> None:
    """The default of `on_upload`."""


def ignore_stored(stored: Stored) -> None:
    """The default of `on_stored`."""


def never_stop() -> None:
    """The default of `check`."""


class ObjectStorage(Storage):
    """One Destination. Instances are cheap, hold no open file, and may be used from several threads.

    Keys are relative, checked by `validate_key`, and written once: the caller makes them unique (job id and attempt),
    so nothing here asks whether one exists. Every failure an operator can act on is a `BackupError`; what a reader
    or `check` raises goes through unchanged.
    """

    @abstractmethod
    def write(
        self,
        key: str,
        reader: Reader,
        *,
        on_upload: Callable[[str], None] = ignore_upload,
        on_stored: Callable[[Stored], None] = ignore_stored,
        check: Callable[[], None] = never_stop,
    ) -> int:
        """Stores everything `reader` gives until its verified end, and returns the count of stored bytes.

        The object appears whole or not at all: on any error, a cancel raised by `check` included, nothing stays.
        `check` is called every few MiB. `on_upload(upload_id)` is called before the first byte of an upload that could
        leave something behind if this process died, where the store has such a thing (S3 multipart). `on_stored` is
        called when the object is there, where a store has versions or holds objects.
        """

    @abstractmethod
    def write_text(self, key: str, text: str, *, on_stored: Callable[[Stored], None] = ignore_stored) -> None:
        """Stores a small text, replacing an older one atomically."""

    @abstractmethod
    def open_stream(
        self, key: str, *, start: int = 0, length: int | None = None, version_id: str = ""
    ) -> AbstractContextManager[Reader]:
        """Reads `length` bytes from `start` (to the end without it) in constant memory.

        With `version_id` it is that version that is read, whatever was put over it or deleted since.

        `readinto` fills the buffer until that end. An object that is missing (`object_missing`), shorter than asked
        (`object_truncated`) or replaced meanwhile (`object_changed`) raises, before the end is reported.
        """

    @abstractmethod
    def stat(self, key: str, *, version_id: str = "") -> StoredObject | None:
        """None when there is no such object; an unreachable or unmounted Destination raises instead.

        With `version_id` it is that version that is meant, as in `open_stream`.
        """

    @abstractmethod
    def delete(self, name: str, *, version_id: str | None = None) -> None:
        """Removes the object. One that is already gone is no error.

        With a `version_id` (it may be empty) the bucket is known to have versions, and all of this key go: nothing
        stays to be billed. Where versions may not be deleted, a delete marker is all there is.
        """

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Every object whose key starts with `prefix`, however many; unfinished ones never appear."""

    @abstractmethod
    def list_unfinished(self, prefix: str = "") -> Iterator[UnfinishedWrite]:
        """Every write to a key that starts with `prefix` which has not ended, those that still run included."""

    @abstractmethod
    def presigned_url(self, key: str, *, expires_in: int, filename: str, version_id: str = "") -> str | None:
        """A link that needs no login for `expires_in` seconds and saves as `filename`; None where there is no such."""

    @abstractmethod
    def abort_uploads(self, key: str, *, upload_id: str | None = None) -> int:
        """Removes what unfinished writes of exactly this key left behind, and returns how many there were.

        `upload_id` is one that `on_upload` reported: it is aborted even where the store's listing does not show it.
        """

    @abstractmethod
    def free_bytes(self) -> int | None:
        """Bytes that may still be written, None where the store has no such figure."""

    def prepare(self) -> None:
        """Makes a new Destination ready for use. Called once, when an operator adds it."""

    def held_until(self, key: str, *, version_id: str = "") -> datetime | None:
        """Until when the store deletes this object for nobody, where it says so."""
        return None

    def look(self) -> None:
        """Whether it can be used, as far as can be told without writing anything. Raises BackupError."""
        self.free_bytes()

    def require_lock(self) -> str:
        """Raises BackupError where objects are to be held and the store holds none; returns a warning, mostly empty."""
        return ""

    def read_text(self, key: str) -> str:
        """The text under `key`, as `write_text` stored it."""
        found, block = bytearray(), bytearray(65536)
        with self.open_stream(key) as reader:
            while count := reader.readinto(block):
                found += memoryview(block)[:count]
        return found.decode()

    def check(self, *, create: bool = False) -> DestinationReport:
        """Writes, reads back, lists and deletes a small object. `create` makes a new Destination ready first.

        What credentials may not do beyond writing is a warning: a store that only takes backups is a wise choice.
        """
        try:
            if create:
                self.prepare()
            return self._probe()
        except BackupError as error:
            return DestinationReport(ok=False, error=error.message, code=error.code, hint=error.hint)

    def _probe(self) -> DestinationReport:
        key, text = self._probe_key(), f"{PROBE} {uuid.uuid4().hex}"
        warnings = [warning] if (warning := self.require_lock()) else []
        started = time.monotonic()
        version_id = self._write_probe(key, text)
        latency_ms = (time.monotonic() - started) * 1000
        try:
            self._warn_if_forbidden(warnings, "read back what it wrote", lambda: self._read_back(key, text))
            self._warn_if_forbidden(warnings, "list objects", lambda: self._find_listed(key))
        finally:
            self._warn_if_forbidden(warnings, "delete objects", lambda: self.delete(key, version_id=version_id))
        return DestinationReport(ok=True, latency_ms=latency_ms, free_bytes=self.free_bytes(), warnings=tuple(warnings))

    def _probe_key(self) -> str:
        return f".backupsite-probe-{uuid.uuid4().hex[:8]}"

    def _write_probe(self, key: str, text: str) -> str | None:
        """Its version, None where there are none."""
        self.write(key, BytesReader(text.encode()))
        return None

    def _read_back(self, key: str, text: str) -> None:
        found = self.read_text(key)
        # Where the key is always the same, another check may have been faster.
        if found != text and not (found.startswith(PROBE) and len(found) == len(text)):
            raise BackupError("The destination gave back other bytes than were written.", code="destination_corrupts")

    def _find_listed(self, key: str) -> None:
        if not any(found.key == key for found in self.list(key)):
            raise BackupError("The destination does not list what was just written.", code="destination_inconsistent")

    @staticmethod
    def _warn_if_forbidden(warnings: "list_of_str", what: str, attempt: Callable[[], object]) -> None:
        try:
            attempt()
        except BackupError as error:
            if error.code != PERMISSION:
                raise
            warnings.append(f"The destination's credentials may not {what}.")

    # Django's own entry points, made strict.

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """The name itself: keys are unique, and asking a store what exists is slow and often forbidden."""
        return validate_key(str(name))

    def open(self, name: str, mode: str = "rb") -> "File[Any]":
        """Reads only: a file opened for writing would publish a truncated object when its writer fails."""
        if mode != "rb":
            raise ValueError("Use write() or save(); open() only reads.")
        return super().open(name, mode)

    def _save(self, name: str, content: IO[Any]) -> str:
        self.write(name, reader_of(content))
        return name


# Inside the class the name `list` is the method.
list_of_str = list[str]
