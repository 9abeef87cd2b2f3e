"""Exports as operators see them: that they were made, how large they are and how they ended; never what is in them."""

from typing import Any, ClassVar

import django_filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from backups.api.common import DETAIL_ACTION, cancelled
from backups.api.filters import AnyOf, RunFilters
from backups.api.log import HasLog
from exports.api.policy import ExportPolicySerializer
from exports.models import Export
from exports.selectors import export_policy, exports_for_operators
from exports.services.remove import delete_export
from exports.services.save_policy import save_export_policy
from jobs.api import JobSerializer, RoleOfActions
from jobs.roles import Role


class ExportSerializer(JobSerializer):
    pubkey = serializers.CharField(read_only=True, help_text="Whose data: 64 hex digits.")
    type = serializers.ChoiceField(choices=Export.Type.choices, read_only=True)
    encrypted = serializers.SerializerMethodField(help_text="To recipients that its user gave.")
    size = serializers.IntegerField(read_only=True, allow_null=True, help_text="Stored bytes.")
    original_size = serializers.IntegerField(read_only=True, allow_null=True)
    file_count = serializers.IntegerField(read_only=True, allow_null=True)
    expires_at = serializers.DateTimeField(read_only=True, allow_null=True)

    def get_encrypted(self, export: Export) -> bool:
        return bool(export.recipients)


class ExportFilters(RunFilters):
    type = AnyOf(choices=Export.Type.choices)
    pubkey = django_filters.CharFilter(help_text="64 lower-case hex digits.")

    class Meta:
        model = Export
        fields: ClassVar[list[str]] = []


class ExportViewSet(
    RoleOfActions, HasLog, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Export]
):
    """Exports that end users asked for, as operators see them: without their content."""

    queryset = exports_for_operators()
    serializer_class = ExportSerializer
    lookup_value_regex = "[^/\\x00]+"
    filterset_class = ExportFilters
    search_fields = ("id", "pubkey")
    ordering_fields = ("created_at", "started_at", "finished_at", "size", "status")
    ordering = ("-created_at",)
    roles = {"cancel": Role.OPERATOR}

    def get_object(self) -> Export:
        self.subject = super().get_object()
        return self.subject

    @extend_schema(request=None, responses={202: ExportSerializer})
    @action(methods=["post"], **DETAIL_ACTION)
    def cancel(self, request: Request, pk: str) -> Response:
        """At once while it waits; a running one stops within seconds."""
        return cancelled(self)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Ends its link and forgets it, as its user may; one that waits or runs is cancelled."""
        delete_export(export=self.get_object())
        return Response(status=204)


class ExportPolicyViewSet(RoleOfActions, viewsets.GenericViewSet[Any]):
    """What end users may ask for, and how long it is kept."""

    queryset = Export.objects.none()
    serializer_class = ExportPolicySerializer
    pagination_class = None
    http_method_names = ["get", "head", "patch"]

    def retrieve(self, request: Request) -> Response:
        """As it is; as it would be made where nobody has set it yet."""
        return Response(self.get_serializer(export_policy()).data)

    def partial_update(self, request: Request) -> Response:
        """Changes what is given, and leaves the rest as it is."""
        given = self.get_serializer(data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        return Response(self.get_serializer(save_export_policy(values=given.validated_data)).data)
