"""Packages over HTTP: streamed as they are stored, with a login or by a signed link."""

from datetime import timedelta
from typing import Any

from django.core import signing
from django.http import Http404
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from backups.api.streaming import Bytes, StoredFile, public_url, stored
from packages.models import Package
from packages.selectors import stored_copy

SALT = "packages.download"


def make_link(*, package: Package, request: Request, expires_in: int) -> dict[str, Any]:
    """Raises BackupError(code="vanished")."""
    file = _file_of(package)
    expires_at = timezone.now() + timedelta(seconds=expires_in)
    url = file.store_link(expires_in=expires_in)
    if url is None:
        content = {"package": package.pk, "until": expires_at.timestamp()}
        url = public_url(request, reverse("api:package-link", args=[signing.dumps(content, salt=SALT)]))
    return {"url": url, "expires_at": expires_at}


def download(*, package: Package, request: Request) -> HttpResponseBase:
    """Raises BackupError: vanished, and what the destination says."""
    return stored(_file_of(package), request)


class PackageLinkView(APIView):
    """Where signed links lead. The link is all that is asked for."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    renderer_classes = (Bytes,)

    @extend_schema(auth=[], responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    def get(self, request: Request, token: str) -> HttpResponseBase:
        """The package that the link was made for; 404 once it expired or the package was deleted."""
        try:
            content = signing.loads(token, salt=SALT)
        except signing.BadSignature as error:
            raise Http404 from error
        package = Package.objects.filter(pk=content["package"]).first()
        if package is None or content["until"] < timezone.now().timestamp():
            raise Http404
        return download(package=package, request=request)


def _file_of(package: Package) -> StoredFile:
    copy = stored_copy(package)
    return StoredFile(copy.destination, copy.key, package.size or 0, package.sha256)
