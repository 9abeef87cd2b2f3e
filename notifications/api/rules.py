"""Rules over HTTP, for admins."""

from typing import ClassVar

import django_filters
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.api import RoleOfActions
from jobs.roles import Role
from notifications.api.serializers import RuleSerializer
from notifications.models import Rule
from notifications.services.save_rule import delete_rule, save_rule


class RuleFilters(django_filters.FilterSet):
    channel = django_filters.CharFilter(field_name="channel_id")

    class Meta:
        model = Rule
        fields: ClassVar[list[str]] = []


class RuleViewSet(RoleOfActions, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Rule]):
    """Rules: which events go to a channel."""

    queryset = Rule.objects.all()
    serializer_class = RuleSerializer
    lookup_value_regex = "[^/\\x00]+"
    filterset_class = RuleFilters
    ordering_fields = ("created_at", "min_severity")
    ordering = ("created_at",)
    roles = dict.fromkeys(("list", "retrieve"), Role.ADMIN)

    def create(self, request: Request) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        saved = save_rule(rule=Rule(), values=serializer.validated_data, create=True)
        location = reverse("api:rule-detail", args=[saved.pk])
        return Response(self.get_serializer(saved).data, status=201, headers={"Location": location})

    def partial_update(self, request: Request, pk: str) -> Response:
        rule = self.get_object()
        serializer = self.get_serializer(rule, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        saved = save_rule(rule=rule, values=serializer.validated_data, create=False)
        return Response(self.get_serializer(saved).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """What it has put into the outbox is still sent."""
        delete_rule(rule=self.get_object())
        return Response(status=204)
