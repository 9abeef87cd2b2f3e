"""Artefacts over HTTP: streamed as they are stored, or without their age layer, with a login or by a signed link."""

from contextlib import ExitStack
from datetime import timedelta
from typing import Any

from django.core import signing
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from backups.api.streaming import CONTENT_TYPE, Bytes, StoredFile, Stream, attached, public_url, stored
from backups.destinations import open_storage
from backups.models import Backup, Destination
from backups.pipeline.decode import decode
from backups.selectors import identities_for
from backups.services.choose_copy import choose_copy
from backups.services.restore import readable

SALT = "backups.download"


def make_link(
    *, backup: Backup, request: Request, expires_in: int, decrypt: bool, destination: Destination | None = None
) -> dict[str, Any]:
    """To the copy at `destination`, else to the nearest good one when it is followed.

    Raises BackupError: wrong_state, vanished; missing_key when it cannot be decrypted here.
    """
    file = _file_to_read(backup, decrypt=decrypt, destination=destination)
    expires_at = timezone.now() + timedelta(seconds=expires_in)
    url = None if decrypt else file.store_link(expires_in=expires_in)
    if url is None:
        place = destination.pk if destination else None
        content = {"backup": backup.pk, "decrypt": decrypt, "until": expires_at.timestamp(), "destination": place}
        url = public_url(request, reverse("api:download", args=[signing.dumps(content, salt=SALT)]))
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
        place = content.get("destination")  # links of an earlier version name none
        destination = Destination.objects.filter(pk=place).first() if place else None
        if place and destination is None:
            raise Http404
        return download(backup=backup, request=request, decrypt=content["decrypt"], destination=destination)


def download(
    *, backup: Backup, request: Request, decrypt: bool = False, destination: Destination | None = None
) -> HttpResponseBase:
    """Raises BackupError: wrong_state, vanished, missing_key, wrong_key, and what the destination says."""
    file = _file_to_read(backup, decrypt=decrypt, destination=destination)
    if decrypt and backup.encryption == "age":
        return attached(_decrypted(file, head=request.method == "HEAD"), file.name.removesuffix(".age"))
    return stored(file, request)


def _file_to_read(backup: Backup, *, decrypt: bool, destination: Destination | None) -> StoredFile:
    if decrypt:
        readable(backup=backup, identities=identities_for(""))
    copy = choose_copy(backup=backup, destination=destination)
    return StoredFile(copy.destination, copy.key, backup.size or 0, backup.sha256)


def _decrypted(file: StoredFile, *, head: bool) -> HttpResponseBase:
    """No length and no ranges: what comes out is known only when the last chunk was opened."""
    headers = {"Accept-Ranges": "none"}
    if head:
        return HttpResponse(headers=headers, content_type=CONTENT_TYPE)
    with ExitStack() as stack:
        source = stack.enter_context(open_storage(file.destination).open_stream(file.key))
        decoded = decode(source, compression="none", encrypted=True, identities=identities_for(None))
        reader = stack.enter_context(decoded)
        stream = Stream(stack.pop_all(), reader)
    return StreamingHttpResponse(stream, headers=headers, content_type=CONTENT_TYPE)
