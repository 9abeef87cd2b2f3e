"""Artefacts over HTTP: streamed as they are stored, or without their age layer, with a login or by a signed link."""

from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any, Protocol
from urllib.parse import quote

from django.conf import settings
from django.core import signing
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import APIException
from rest_framework.permissions import AllowAny
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from backups.api.ranges import ByteRange, NotSatisfiable, parse_range
from backups.destinations import open_storage
from backups.models import Backup, Copy
from backups.pipeline.decode import decode
from backups.selectors import identities_for, stored_copy
from backups.services.restore import readable

BLOCK = 1 << 20
SALT = "backups.download"


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


def make_link(*, backup: Backup, request: Request, expires_in: int, decrypt: bool) -> dict[str, Any]:
    """Raises BackupError: wrong_state, vanished; missing_key when it cannot be decrypted here."""
    copy = _copy_to_read(backup, decrypt=decrypt)
    expires_at = timezone.now() + timedelta(seconds=expires_in)
    url = None
    if not decrypt:
        url = open_storage(copy.destination).presigned_url(
            copy.key, expires_in=expires_in, filename=PurePosixPath(copy.key).name
        )
    if url is None:
        content = {"backup": backup.pk, "decrypt": decrypt, "until": expires_at.timestamp()}
        path = reverse("api:download", args=[signing.dumps(content, salt=SALT)])
        url = (
            settings.BACKUPSITE_PUBLIC_URL + path
            if settings.BACKUPSITE_PUBLIC_URL
            else request.build_absolute_uri(path)
        )
    return {"url": url, "expires_at": expires_at}


class DownloadLinkView(APIView):
    """Where signed links lead. The link is all that is asked for."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    renderer_classes = (Bytes,)

    @extend_schema(auth=[], responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    def get(self, request: Request, token: str) -> HttpResponseBase:
        """The artefact that the link was made for; 404 once it expired or the backup was deleted."""
        try:
            content = signing.loads(token, salt=SALT)
        except signing.BadSignature as error:
            raise Http404 from error
        backup = Backup.objects.filter(pk=content["backup"]).first()
        if backup is None or content["until"] < timezone.now().timestamp():
            raise Http404
        return download(backup=backup, request=request, decrypt=content["decrypt"])


def download(*, backup: Backup, request: Request, decrypt: bool = False) -> HttpResponseBase:
    """Raises BackupError: wrong_state, vanished, missing_key, wrong_key, and what the destination says."""
    copy = _copy_to_read(backup, decrypt=decrypt)
    if decrypt and backup.encryption == "age":
        response = _decrypted(copy, head=request.method == "HEAD")
    else:
        response = _stored(backup, copy, request)
    name = PurePosixPath(copy.key).name.removesuffix(".age" if decrypt else "")
    response["Content-Disposition"] = f"attachment; filename=\"{name}\"; filename*=UTF-8''{quote(name)}"
    response["Cache-Control"] = "no-store"
    return response


def _copy_to_read(backup: Backup, *, decrypt: bool) -> Copy:
    if decrypt:
        readable(backup=backup, identity="")
    return stored_copy(backup)


def _stored(backup: Backup, copy: Copy, request: Request) -> HttpResponseBase:
    size, etag = backup.size or 0, f'"{backup.sha256}"'
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": etag,
        "Repr-Digest": f"sha-256=:{b64encode(bytes.fromhex(backup.sha256)).decode()}:",
    }
    try:
        part = _range(request, etag, size)
    except NotSatisfiable:
        raise RangeNotSatisfiable(size) from None
    whole = part or ByteRange(start=0, length=size)
    headers["Content-Length"] = str(whole.length)
    if part:
        headers["Content-Range"] = f"bytes {part.start}-{part.start + part.length - 1}/{size}"
    return _answer(copy, headers, status=206 if part else 200, part=whole, head=request.method == "HEAD")


def _range(request: Request, etag: str, size: int) -> ByteRange | None:
    """`If-Range` with another validator than ours means: what you have is of another artefact, take the whole."""
    if request.headers.get("If-Range", etag) != etag:
        return None
    return parse_range(request.headers.get("Range", ""), size=size)


def _answer(copy: Copy, headers: dict[str, str], *, status: int, part: ByteRange, head: bool) -> HttpResponseBase:
    content_type = "application/octet-stream"
    if head:
        return HttpResponse(status=status, headers=headers, content_type=content_type)
    with ExitStack() as stack:
        storage = open_storage(copy.destination)
        reader = stack.enter_context(storage.open_stream(copy.key, start=part.start, length=part.length))
        stream = Stream(stack.pop_all(), reader)
    return StreamingHttpResponse(stream, status=status, headers=headers, content_type=content_type)


def _decrypted(copy: Copy, *, head: bool) -> HttpResponseBase:
    """No length and no ranges: what comes out is known only when the last chunk was opened."""
    headers = {"Accept-Ranges": "none"}
    if head:
        return HttpResponse(headers=headers, content_type="application/octet-stream")
    with ExitStack() as stack:
        stored = stack.enter_context(open_storage(copy.destination).open_stream(copy.key))
        decoded = decode(stored, compression="none", encrypted=True, identities=identities_for(None))
        reader = stack.enter_context(decoded)
        stream = Stream(stack.pop_all(), reader)
    return StreamingHttpResponse(stream, headers=headers, content_type="application/octet-stream")
