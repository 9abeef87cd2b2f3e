"""Drills over HTTP: watched, cancelled and read here, asked for at the Database or the backup."""

from typing import Any, ClassVar

import django_filters
from django.http import Http404, HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from backups.api.common import DETAIL_ACTION, cancelled
from backups.api.drill_report import DrillReportSerializer
from backups.api.drill_serializers import DrillSerializer
from backups.api.filters import AnyOf, RunFilters
from backups.api.log import HasLog
from backups.api.serializers import IdentitySerializer
from backups.api.streaming import Bytes
from backups.models import Drill
from backups.services.sign_report import canonical, public_key, signature_of
from backups.services.wait_for_identity import give_identity
from jobs.api import RoleOfActions
from jobs.roles import Role

SIGNATURE = "Backupsite-Signature"


class DrillFilters(RunFilters):
    database = django_filters.CharFilter(field_name="database_id")
    backup = django_filters.CharFilter(field_name="backup_label")
    trigger = AnyOf(choices=Drill.Trigger.choices)

    class Meta:
        model = Drill
        fields: ClassVar[list[str]] = []


class DrillViewSet(RoleOfActions, HasLog, viewsets.ReadOnlyModelViewSet[Drill]):
    """Drills: runs that restored a backup into a scratch target and compared it with what was backed up."""

    queryset = Drill.objects.defer("report")
    serializer_class = DrillSerializer
    lookup_value_regex = "[^/\\x00]+"
    filterset_class = DrillFilters
    roles = {"cancel": Role.OPERATOR, "identity": Role.OPERATOR}
    search_fields = ("id", "backup_label", "database__id", "database_name")
    ordering_fields = ("created_at", "started_at", "finished_at", "status")
    ordering = ("-created_at",)

    @extend_schema(request=None, responses={202: DrillSerializer})
    @action(methods=["post"], **DETAIL_ACTION)
    def cancel(self, request: Request, pk: str) -> Response:
        """At once while it waits; a running one removes its scratch target and stops."""
        return cancelled(self)

    @extend_schema(request=IdentitySerializer, responses={202: DrillSerializer})
    @action(methods=["post"], **DETAIL_ACTION)
    def identity(self, request: Request, pk: str) -> Response:
        """Begins a drill that waits for the age secret key, with the backup that its plan picks now."""
        body = IdentitySerializer(data=request.data)
        body.is_valid(raise_exception=True)
        drill = give_identity(drill=self.get_object(), user=request.user, **body.validated_data)
        return Response(DrillSerializer(drill).data, status=202)

    @extend_schema(
        responses={(200, "application/json"): DrillReportSerializer},
        parameters=[
            OpenApiParameter(
                SIGNATURE, str, OpenApiParameter.HEADER, response=True, description="`ed25519=` and base64."
            )
        ],
    )
    @action(renderer_classes=[Bytes], **DETAIL_ACTION)
    def report(self, request: Request, pk: str) -> HttpResponse:
        """The report, byte for byte as it was signed."""
        drill = self._reported()
        headers = {SIGNATURE: f"ed25519={drill.signature}", "Content-Disposition": f'inline; filename="{pk}.json"'}
        return HttpResponse(canonical(drill.report), content_type="application/json", headers=headers)

    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    @action(renderer_classes=[Bytes], **DETAIL_ACTION)
    def signature(self, request: Request, pk: str) -> HttpResponse:
        """The 64 bytes of the report's Ed25519 signature."""
        headers = {"Content-Disposition": f'attachment; filename="{pk}.json.sig"'}
        body = signature_of(self._reported().signature)
        return HttpResponse(body, content_type="application/octet-stream", headers=headers)

    @extend_schema(responses={(200, "application/x-pem-file"): OpenApiTypes.STR})
    @action(detail=False, url_path="report-key", renderer_classes=[Bytes], filter_backends=[], pagination_class=None)
    def report_key(self, request: Request) -> HttpResponse:
        """The public key that reports are signed with, as PEM."""
        return HttpResponse(public_key(), content_type="application/x-pem-file")

    def _reported(self) -> Any:
        drill = self.get_object()
        if not drill.signature:
            raise Http404
        return drill
