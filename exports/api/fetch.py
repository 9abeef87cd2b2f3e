"""Where the links of exports lead: the zip, whole or in part. The link is all that is asked for."""

import re

from django.http import HttpResponseRedirect
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from backups.api.streaming import Bytes, StoredFile, stored
from exports.selectors import export_policy, stored_object
from exports.services.links import note_use, open_link

STORE_LINK_S = 60
RESPONSES = {
    (200, "application/octet-stream"): OpenApiTypes.BINARY,
    302: OpenApiResponse(description="To the store itself, where the policy of exports says so."),
}


class ExportFetchView(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)
    renderer_classes = (Bytes,)

    @extend_schema(auth=[], responses=RESPONSES)
    def get(self, request: Request, token: str) -> HttpResponseBase:
        """The export that the link was made for; 410 once it expired or was revoked. Takes one `Range` and `HEAD`."""
        link = open_link(token=token)
        row = stored_object(link.export)
        file = StoredFile(row.destination, row.key, link.export.size or 0, link.export.sha256)
        address = file.store_link(expires_in=STORE_LINK_S) if export_policy().redirect_to_store else None
        answer = HttpResponseRedirect(address) if address else stored(file, request)
        if _begins(request, answer):
            note_use(link=link)
        answer["Cache-Control"] = "no-store"
        answer["Referrer-Policy"] = "no-referrer"
        return answer


def _begins(request: Request, answer: HttpResponseBase) -> bool:
    """Whether this is a download, and not one more part of it: the first byte is given, or may be by the store."""
    if request.method != "GET":
        return False
    if answer.status_code == 302:
        return not re.match(r"bytes=\s*0*[1-9]", request.headers.get("Range", ""))
    return answer.headers.get("Content-Range", "bytes 0-").startswith("bytes 0-")
