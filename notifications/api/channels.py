"""Channels over HTTP, for admins."""

from typing import Any, ClassVar

import django_filters
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.api import RoleOfActions
from jobs.fields import unseal
from jobs.roles import Role
from notifications.api import serializers
from notifications.models import Channel
from notifications.services.save_channel import delete_channel, drop_old_secret, rotate_secret, save_channel
from notifications.services.try_channel import try_channel

DETAIL_ACTION: dict[str, Any] = {"detail": True, "filter_backends": [], "pagination_class": None}
NO_STORE = {"Cache-Control": "no-store"}
LATEST = 50


class ChannelFilters(django_filters.FilterSet):
    kind = django_filters.ChoiceFilter(choices=Channel.Kind.choices)
    failing = django_filters.BooleanFilter(field_name="failing_since", lookup_expr="isnull", exclude=True)

    class Meta:
        model = Channel
        fields: ClassVar[list[str]] = []


class ChannelViewSet(RoleOfActions, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Channel]):
    """Channels: how somebody is told."""

    queryset = Channel.objects.all()
    serializer_class = serializers.ChannelSerializer
    lookup_value_regex = "[^/\\x00]+"
    filterset_class = ChannelFilters
    search_fields = ("id", "name")
    ordering_fields = ("name", "kind", "created_at", "failing_since")
    ordering = ("name",)
    roles = dict.fromkeys(("list", "retrieve", "deliveries"), Role.ADMIN)

    @extend_schema(responses={201: serializers.NewChannelSerializer})
    def create(self, request: Request) -> Response:
        """With one rule: whatever is a warning or worse, collected for a minute."""
        values = self._valid()
        row = Channel(kind=values.pop("kind"))
        saved = save_channel(channel=row, values=values, create=True)
        body = dict(self.get_serializer(saved).data)
        if saved.kind == Channel.Kind.WEBHOOK and "secret" not in values:
            body["signing_secret"] = unseal(saved.secrets)["secret"]
        location = reverse("api:channel-detail", args=[saved.pk])
        return Response(body, status=201, headers={"Location": location, **NO_STORE})

    def partial_update(self, request: Request, pk: str) -> Response:
        """A secret that is not given stays as it is."""
        channel = self.get_object()
        values = self._valid(channel, partial=True)
        values.pop("kind", None)
        return Response(self.get_serializer(save_channel(channel=channel, values=values, create=False)).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """With its rules, and what still waits to be sent."""
        delete_channel(channel=self.get_object())
        return Response(status=204)

    @extend_schema(request=None, responses=serializers.TestReportSerializer)
    @action(methods=["post"], **DETAIL_ACTION)
    def test(self, request: Request, pk: str) -> Response:
        """Sends a test now. What fails is a report with `ok` false."""
        return Response(serializers.TestReportSerializer(try_channel(channel=self.get_object())).data)

    @extend_schema(request=None, responses=serializers.SecretSerializer)
    @action(methods=["post"], url_path="rotate-secret", **DETAIL_ACTION)
    def rotate_secret(self, request: Request, pk: str) -> Response:
        """A new signing secret. Messages are signed with both until the old one is dropped."""
        secret = rotate_secret(channel=self.get_object())
        return Response({"signing_secret": secret}, headers=NO_STORE)

    @extend_schema(request=None, responses={204: None})
    @action(methods=["post"], url_path="drop-old-secret", **DETAIL_ACTION)
    def drop_old_secret(self, request: Request, pk: str) -> Response:
        """From now on only the new secret signs."""
        drop_old_secret(channel=self.get_object())
        return Response(status=204)

    @extend_schema(responses=serializers.DeliverySerializer(many=True))
    @action(**DETAIL_ACTION)
    def deliveries(self, request: Request, pk: str) -> Response:
        """The latest 50 messages, and what came of them."""
        latest: Any = self.get_object().deliveries.all()[:LATEST]
        return Response(serializers.DeliverySerializer(latest, many=True).data)

    def _valid(self, channel: Channel | None = None, *, partial: bool = False) -> dict[str, Any]:
        serializer = self.get_serializer(channel, data=self.request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)
