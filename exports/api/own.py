"""End users ask for exports of their own data, and see those only. Each request is signed (NIP-98)."""

from typing import Any

from django.db.models import QuerySet
from django.urls import reverse
from drf_spectacular.helpers import forced_singular_serializer
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from backups.api.common import DETAIL_ACTION, invalid
from exports.api import own_serializers as shapes
from exports.api.authentication import IsNostrUser, NostrAuthentication, pubkey_of
from exports.api.limits import Limited
from exports.models import Export
from exports.selectors import exports_of
from exports.services.links import renew_link
from exports.services.remove import delete_export
from exports.services.request import request_export
from jobs.services.cancel import cancel_job

MOST_LISTED = 100
UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
LIMIT = OpenApiParameter(
    "limit", {"type": "integer", "minimum": 1}, description=f"Rows: 50 unless told, never more than {MOST_LISTED}."
)
ONE_LIST: Any = forced_singular_serializer(shapes.ExportListSerializer)  # type: ignore[no-untyped-call]
NO_STORE = {"Cache-Control": "no-store"}  # links are in it


class OwnExportViewSet(Limited, viewsets.GenericViewSet[Export]):
    """Exports: what end users ask for of their own data. Requests are signed with a Nostr key (NIP-98)."""

    queryset = Export.objects.none()
    serializer_class = shapes.OwnExportSerializer
    authentication_classes = (NostrAuthentication,)
    permission_classes = (IsNostrUser,)
    pagination_class = None
    filter_backends = ()
    lookup_value_regex = UUID
    starts_job = frozenset({"create"})

    def get_queryset(self) -> QuerySet[Export]:
        return exports_of(getattr(self.request.user, "pubkey", ""))

    def get_object(self) -> Export:
        self.subject = super().get_object()
        return self.subject

    @extend_schema(request=shapes.ExportRequestSerializer, responses={201: shapes.NewExportSerializer})
    def create(self, request: Request) -> Response:
        """Asks for an export of everything that is kept of your public key here."""
        given = shapes.ExportRequestSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        export = request_export(pubkey=pubkey_of(request), **given.validated_data)
        location = reverse("api:own-export-detail", args=[export.pk])
        return Response(shapes.NewExportSerializer(export).data, status=201, headers={"Location": location})

    @extend_schema(parameters=[LIMIT], responses=ONE_LIST)
    def list(self, request: Request) -> Response:
        """Your exports, the newest first."""
        exports = self.get_queryset()
        body = {"jobs": exports[: _limit(request)], "total": exports.count()}
        return Response(shapes.ExportListSerializer(body).data, headers=NO_STORE)

    def retrieve(self, request: Request, pk: str) -> Response:
        """One of your exports: its state, and where it can be fetched."""
        return Response(self.get_serializer(self.get_object()).data, headers=NO_STORE)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Forgets the export. Its link ends at once; one that waits or runs is cancelled."""
        delete_export(export=self.get_object())
        return Response(status=204)

    @extend_schema(request=None, responses={202: shapes.OwnExportSerializer})
    @action(methods=["post"], **DETAIL_ACTION)
    def cancel(self, request: Request, pk: str) -> Response:
        """At once while it waits; a running one stops within seconds."""
        export = cancel_job(job=self.get_object())
        return Response(self.get_serializer(export).data, status=202, headers=NO_STORE)

    @extend_schema(request=None, responses=shapes.RenewedLinkSerializer)
    @action(methods=["post"], url_path="revoke-link", **DETAIL_ACTION)
    def revoke_link(self, request: Request, pk: str) -> Response:
        """Ends the link of a completed export and makes a new one."""
        export = self.get_object()
        body = {"resultUrl": shapes.result_url(renew_link(export=export)), "expires": export.expires_at}
        return Response(shapes.RenewedLinkSerializer(body).data, headers=NO_STORE)


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", "50")
    if not (text.isascii() and text.isdigit() and int(text[:20]) > 0):
        raise invalid("limit", "Give a whole number from 1 up.")
    return min(int(text[:20]), MOST_LISTED)
