"""Stored objects over HTTP: streamed as they are, whole or in part, with a login or by a signed link."""

from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Protocol
from urllib.parse import quote

from django.conf import settings
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.exceptions import APIException
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from backups.api.ranges import ByteRange, NotSatisfiable, parse_range
from backups.destinations import open_storage
from backups.models import Destination

BLOCK = 1 << 20
CONTENT_TYPE = "application/octet-stream"


@dataclass(frozen=True)
class StoredFile:
    """An object at a destination, and what its row says of it: `size` in bytes, `sha256` in hex."""

    destination: Destination
    key: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        return PurePosixPath(self.key).name

    def store_link(self, *, expires_in: int) -> str | None:
        """A link into the store itself, where it has such; `expires_in` is in seconds."""
        return open_storage(self.destination).presigned_url(self.key, expires_in=expires_in, filename=self.name)


class Bytes(BaseRenderer):
    """For answers that are no JSON: matches whatever the client accepts. The views stream the bytes themselves."""

    media_type = "*/*"
    format = "bytes"
    charset = None

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        raise NotImplementedError("The view answers with the bytes.")


class RangeNotSatisfiable(APIException):
    status_code = 416
    default_code = "range_not_satisfiable"

    def __init__(self, size: int) -> None:
        super().__init__(f"The artefact ends at byte {size}.")
        self.headers = {"Content-Range": f"bytes */{size}"}


class Readable(Protocol):
    def readinto(self, buffer: memoryview) -> int: ...


class Stream:
    """The blocks of an open reader. What is wrong from the start is raised at once, before any header is sent."""

    def __init__(self, stack: ExitStack, reader: Readable) -> None:
        self._stack = stack
        self._reader = reader
        self._buffer = memoryview(bytearray(BLOCK))
        try:
            self._first = self._read()
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[bytes]:
        block = self._first
        while block:
            yield block
            block = self._read()

    def _read(self) -> bytes:
        return bytes(self._buffer[: self._reader.readinto(self._buffer)])

    def close(self) -> None:
        self._stack.close()


def public_url(request: Request, path: str) -> str:
    """As who was given the link reaches it."""
    return settings.BACKUPSITE_PUBLIC_URL + path if settings.BACKUPSITE_PUBLIC_URL else request.build_absolute_uri(path)


def attached(response: HttpResponseBase, name: str) -> HttpResponseBase:
    """The answer, to be saved under this name and kept by no cache."""
    response["Content-Disposition"] = f"attachment; filename=\"{name}\"; filename*=UTF-8''{quote(name)}"
    response["Cache-Control"] = "no-store"
    return response


def stored(file: StoredFile, request: Request) -> HttpResponseBase:
    """The object as it is stored. Takes one `Range`, `If-Range` and `HEAD`."""
    size, etag = file.size, f'"{file.sha256}"'
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": etag,
        "Repr-Digest": f"sha-256=:{b64encode(bytes.fromhex(file.sha256)).decode()}:",
    }
    try:
        part = _range(request, etag, size)
    except NotSatisfiable:
        raise RangeNotSatisfiable(size) from None
    whole = part or ByteRange(start=0, length=size)
    headers["Content-Length"] = str(whole.length)
    if part:
        headers["Content-Range"] = f"bytes {part.start}-{part.start + part.length - 1}/{size}"
    answer = _answer(file, headers, status=206 if part else 200, part=whole, head=request.method == "HEAD")
    return attached(answer, file.name)


def _range(request: Request, etag: str, size: int) -> ByteRange | None:
    """`If-Range` with another validator than ours means: what you have is of another artefact, take the whole."""
    if request.headers.get("If-Range", etag) != etag:
        return None
    return parse_range(request.headers.get("Range", ""), size=size)


def _answer(file: StoredFile, headers: dict[str, str], *, status: int, part: ByteRange, head: bool) -> HttpResponseBase:
    if head:
        return HttpResponse(status=status, headers=headers, content_type=CONTENT_TYPE)
    with ExitStack() as stack:
        storage = open_storage(file.destination)
        reader = stack.enter_context(storage.open_stream(file.key, start=part.start, length=part.length))
        stream = Stream(stack.pop_all(), reader)
    return StreamingHttpResponse(stream, status=status, headers=headers, content_type=CONTENT_TYPE)
