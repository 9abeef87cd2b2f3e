"""Mutes over HTTP, for operators."""

from typing import ClassVar

import django_filters
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.api import RoleOfActions
from jobs.roles import Role
from notifications.api.serializers import MuteSerializer
from notifications.models import Mute
from notifications.services.save_mute import mute, unmute


class MuteFilters(django_filters.FilterSet):
    holds = django_filters.BooleanFilter(method="that_hold", help_text="Those that have not ended, or have.")
    database = django_filters.CharFilter(field_name="database_id")

    class Meta:
        model = Mute
        fields: ClassVar[list[str]] = []

    def that_hold(self, rows: QuerySet[Mute], name: str, value: bool) -> QuerySet[Mute]:
        now = timezone.now()
        return rows.filter(until__gt=now) if value else rows.filter(until__lte=now)


class MuteViewSet(RoleOfActions, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Mute]):
    """Mutes: silence with an end."""

    queryset = Mute.objects.select_related("created_by")
    serializer_class = MuteSerializer
    lookup_value_regex = "[^/\\x00]+"
    filterset_class = MuteFilters
    ordering_fields = ("until", "created_at")
    ordering = ("-until",)
    roles = dict.fromkeys(("create", "destroy"), Role.OPERATOR)

    def create(self, request: Request) -> Response:
        """From now on, until then. Events are recorded all the same."""
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        user = request.user if request.user.is_authenticated else None
        row = mute(**serializer.validated_data, user=user)
        location = reverse("api:mute-detail", args=[row.pk])
        return Response(self.get_serializer(row).data, status=201, headers={"Location": location})

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Ends it now; it stays listed."""
        unmute(mute=self.get_object())
        return Response(status=204)
