"""Ping addresses over HTTP, for admins."""

from typing import ClassVar

import django_filters
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.api import RoleOfActions
from jobs.errors import BackupError
from jobs.roles import Role
from notifications.api.channels import DETAIL_ACTION
from notifications.api.serializers import PingSerializer, TestReportSerializer
from notifications.models import Ping
from notifications.services.save_ping import delete_ping, save_ping
from notifications.services.try_channel import try_ping


class PingFilters(django_filters.FilterSet):
    database = django_filters.CharFilter(field_name="database_id")

    class Meta:
        model = Ping
        fields: ClassVar[list[str]] = []


class PingViewSet(RoleOfActions, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Ping]):
    """Pings: an address that is asked whenever a Database was backed up."""

    queryset = Ping.objects.all()
    serializer_class = PingSerializer
    lookup_value_regex = "[^/\\x00]+"
    filterset_class = PingFilters
    ordering_fields = ("database_id", "created_at")
    ordering = ("database_id",)
    roles = dict.fromkeys(("list", "retrieve"), Role.ADMIN)

    def create(self, request: Request) -> Response:
        """A Database has at most one: a second is 409."""
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        values = serializer.validated_data
        if Ping.objects.filter(database_id=values["database_id"]).exists():
            raise BackupError("This Database has a ping.", code="id_taken", permanent=True, hint="Change that one.")
        saved = save_ping(**values)
        location = reverse("api:ping-detail", args=[saved.pk])
        return Response(self.get_serializer(saved).data, status=201, headers={"Location": location})

    def partial_update(self, request: Request, pk: str) -> Response:
        ping = self.get_object()
        serializer = self.get_serializer(ping, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        saved = save_ping(**{**serializer.validated_data, "database_id": ping.database_id})
        return Response(self.get_serializer(saved).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        delete_ping(ping=self.get_object())
        return Response(status=204)

    @extend_schema(request=None, responses=TestReportSerializer)
    @action(methods=["post"], **DETAIL_ACTION)
    def test(self, request: Request, pk: str) -> Response:
        """Asks the address now, as after a good backup. What fails is a report with `ok` false."""
        return Response(TestReportSerializer(try_ping(ping=self.get_object())).data)
