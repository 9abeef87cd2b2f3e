"""Restores and verifications over HTTP: read only; they are started from the backup they read."""

from rest_framework import viewsets

from backups.api import serializers
from backups.api.filters import RestoreFilters, VerificationFilters
from backups.models import Restore, Verification
from jobs.api import RoleOfActions


class RestoreViewSet(RoleOfActions, viewsets.ReadOnlyModelViewSet[Restore]):
    """Restores, with their reports."""

    queryset = Restore.objects.all()
    serializer_class = serializers.RestoreSerializer
    lookup_value_regex = "[^/\\x00]+"
    filterset_class = RestoreFilters
    search_fields = ("id", "backup_label", "target__id", "target_name")
    ordering_fields = ("created_at", "started_at", "finished_at", "status")
    ordering = ("-created_at",)


class VerificationViewSet(RoleOfActions, viewsets.ReadOnlyModelViewSet[Verification]):
    """Verifications, with their reports."""

    queryset = Verification.objects.all()
    serializer_class = serializers.VerificationSerializer
    lookup_value_regex = "[^/\\x00]+"
    filterset_class = VerificationFilters
    search_fields = ("id", "backup_label")
    ordering_fields = ("created_at", "started_at", "finished_at", "status")
    ordering = ("-created_at",)
