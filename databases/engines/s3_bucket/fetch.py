"""Reads objects over many connections: whole small ones, and pieces of large ones."""

import mmap
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http.client import HTTPResponse

from databases.engines.s3_bucket.faults import shown
from databases.engines.s3_bucket.retry import patiently
from databases.engines.s3_bucket.tarformat import HEADERS, SMALL, Facts, iso
from databases.engines.s3_bucket.wire import Wire
from jobs.errors import BackupError

PIECE = 4 << 20
MOST_STARTS = 5
_BLOCK = 256 << 10
_USER = "x-amz-meta-"


class Vanished(Exception):
    """The object is no longer there."""


class Changed(Exception):
    """The object is no longer the one whose first bytes were read."""


_MAPPED = 64 << 10  # from here on a buffer is pages of its own

Begun = tuple[Facts, memoryview, bool]


def buffer_of(size: int) -> memoryview:
    """Large ones go back to the system when they are let go. malloc keeps an arena for each thread, and those of 16
    threads grow by what the others hold: 5 GB left 320 MB behind."""
    return memoryview(mmap.mmap(-1, size) if size >= _MAPPED else bytearray(size))


def begin(wire: Wire, key: str, expected: int) -> Begun:
    """What the object is, its first bytes (all, when it is small), and whether it changed while they were read.

    `expected` is the size by the listing: the object decides. Raises Vanished, BackupError.
    """
    for start in range(MOST_STARTS):
        try:
            return (*_begin(wire, key, expected), start > 0)
        except Changed:
            continue
    raise restless(key)


def _begin(wire: Wire, key: str, expected: int) -> tuple[Facts, memoryview]:
    ranged = expected > SMALL
    buffer = buffer_of(PIECE if ranged else expected)

    def ask() -> tuple[Facts, memoryview, int]:
        headers = {"Range": f"bytes=0-{PIECE - 1}"} if ranged else {}
        with wire.get(key, headers=headers) as response:
            facts = _facts(key, response)
            length = facts.size if facts.size <= SMALL else PIECE
            view = (buffer if len(buffer) >= length else buffer_of(length))[:length]
            return facts, view, _fill(response, view, wire)

    try:
        facts, view, done = patiently(wire, shown(key), ask)
    except BackupError as error:
        if error.code == "object_missing":
            raise Vanished from error
        if error.code == "object_changed" and ranged:  # the range is not there: it is empty by now
            return _begin(wire, key, 0)
        raise
    if done < len(view):
        rest(wire, facts, done, view[done:])
    return facts, view


def rest(wire: Wire, facts: Facts, start: int, view: memoryview) -> None:
    """Fills `view` with the object's bytes from `start` on; goes on where a connection was lost.

    Raises Changed, Vanished, BackupError.
    """
    done = 0

    def ask() -> None:
        nonlocal done
        first, last = start + done, start + len(view) - 1
        headers = {"Range": f"bytes={first}-{last}", "If-Match": f'"{facts.etag}"'}
        with wire.get(facts.key, headers=headers) as response:
            if _unquoted(response) != facts.etag:
                raise Changed
            if response.status != 206 or not (response.getheader("Content-Range") or "").startswith(
                f"bytes {first}-{last}/"
            ):
                raise BackupError(
                    f"{shown(facts.key)}: the store did not give the range asked for.",
                    code="store_error",
                    permanent=True,
                )
            done += _fill(response, view[done:], wire)
        if done < len(view):
            raise ConnectionError("half a range")

    while done < len(view):
        before = done
        try:
            patiently(wire, shown(facts.key), ask)
        except BackupError as error:
            if error.code == "object_changed":
                raise Changed from error
            if error.code == "object_missing":
                raise Vanished from error
            if done == before or error.permanent or wire.stopped.is_set():
                raise  # nothing came in half a minute


def restless(key: str) -> BackupError:
    return BackupError(
        f"{shown(key)} changes faster than it can be read.",
        code="object_changing",
        hint="Leave it out with `exclude`, or back the bucket up when it is quiet.",
    )


def _fill(response: HTTPResponse, view: memoryview, wire: Wire) -> int:
    """How many bytes came; fewer when the connection was lost."""
    done = 0
    try:
        while done < len(view) and not wire.stopped.is_set():
            count = response.readinto(view[done : done + _BLOCK])
            if not count:
                break
            done += count
        if done == len(view) and not response.length:
            response.read()  # the end, so that the connection can be used again
    except OSError:
        if wire.stopped.is_set():
            raise
    return done


def _facts(key: str, response: HTTPResponse) -> Facts:
    size = _size(response)
    modified = response.getheader("Last-Modified")
    etag = _unquoted(response)
    if size is None or not modified or not etag:
        raise BackupError(
            f"{shown(key)}: the store does not say its length, ETag and time.", code="store_error", permanent=True
        )
    version = response.getheader("x-amz-version-id") or ""
    return Facts(
        key=key,
        size=size,
        etag=etag,
        version_id="" if version == "null" else version,
        last_modified=iso(parsedate_to_datetime(modified)),
        content_type=response.getheader("Content-Type") or "",
        metadata=_metadata(dict(response.getheaders())),
    )


def _metadata(headers: Mapping[str, str]) -> dict[str, dict[str, str]]:
    lower = {name.lower(): value for name, value in headers.items()}
    user = {name.removeprefix(_USER): value for name, value in lower.items() if name.startswith(_USER)}
    kept = {name: lower[name.replace("_", "-")] for name in HEADERS if name.replace("_", "-") in lower}
    return {name: value for name, value in (("user", user), ("headers", kept)) if value}


def _size(response: HTTPResponse) -> int | None:
    total = (response.getheader("Content-Range") or "").rpartition("/")[2] or response.getheader("Content-Length")
    return int(total) if total and total.isdigit() else None


def _unquoted(response: HTTPResponse) -> str:
    return (response.getheader("ETag") or "").strip('"')
