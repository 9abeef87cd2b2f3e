"""Restores and verifications over HTTP: watched and cancelled here, started from the backup they read."""

from drf_spectacular.utils import extend_schema
from rest_framework import viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from backups.api import serializers
from backups.api.common import DETAIL_ACTION, cancelled
from backups.api.filters import RestoreFilters, VerificationFilters
from backups.api.log import HasLog
from backups.models import Restore, Verification
from jobs.api import RoleOfActions
from jobs.roles import Role


class RestoreViewSet(RoleOfActions, HasLog, viewsets.ReadOnlyModelViewSet[Restore]):
    """Restores, with their reports."""

    queryset = Restore.objects.all()
    serializer_class = serializers.RestoreSerializer
    lookup_value_regex = "[^/\\x00]+"
    filterset_class = RestoreFilters
    roles = {"cancel": Role.OPERATOR}
    search_fields = ("id", "backup_label", "target__id", "target_name")
    ordering_fields = ("created_at", "started_at", "finished_at", "status")
    ordering = ("-created_at",)

    @extend_schema(request=None, responses={202: serializers.RestoreSerializer})
    @action(methods=["post"], **DETAIL_ACTION)
    def cancel(self, request: Request, pk: str) -> Response:
        """At once while it waits; a running one stops within seconds."""
        return cancelled(self)


class VerificationViewSet(RoleOfActions, HasLog, viewsets.ReadOnlyModelViewSet[Verification]):
    """Verifications, with their reports."""

    queryset = Verification.objects.all()
    serializer_class = serializers.VerificationSerializer
    lookup_value_regex = "[^/\\x00]+"
    filterset_class = VerificationFilters
    roles = {"cancel": Role.OPERATOR}
    search_fields = ("id", "backup_label")
    ordering_fields = ("created_at", "started_at", "finished_at", "status")
    ordering = ("-created_at",)

    @extend_schema(request=None, responses={202: serializers.VerificationSerializer})
    @action(methods=["post"], **DETAIL_ACTION)
    def cancel(self, request: Request, pk: str) -> Response:
        """At once while it waits; a running one stops within seconds."""
        return cancelled(self)
