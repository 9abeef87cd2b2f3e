"""Events over HTTP: what happened, and which kinds there are."""

from typing import ClassVar

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.api import RoleOfActions
from notifications.api.serializers import EventSerializer, KindSerializer
from notifications.kinds import KINDS
from notifications.models import Event, Severity


class EventFilters(django_filters.FilterSet):
    kind = django_filters.CharFilter(help_text="A kind, or a family such as `backup.`", method="of_kind")
    severity = django_filters.MultipleChoiceFilter(choices=Severity.choices, distinct=False)
    database = django_filters.CharFilter(field_name="database_id")
    subject = django_filters.CharFilter(field_name="subject_id")

    class Meta:
        model = Event
        fields: ClassVar[list[str]] = []

    def of_kind(self, rows: QuerySet[Event], name: str, value: str) -> QuerySet[Event]:
        return rows.filter(kind__startswith=value) if value.endswith(".") else rows.filter(kind=value)


class EventViewSet(RoleOfActions, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Event]):
    """Events: what happened."""

    queryset = Event.objects.all()
    serializer_class = EventSerializer
    lookup_value_regex = "[0-9]{1,18}"
    filterset_class = EventFilters
    search_fields = ("message", "subject_id", "database_id")
    ordering_fields = ("created_at", "severity", "kind")
    ordering = ("-created_at",)

    @extend_schema(responses=KindSerializer(many=True))
    @action(detail=False, filter_backends=[], pagination_class=None)
    def kinds(self, request: Request) -> Response:
        """The catalogue: what rules and mutes may name."""
        return Response(KindSerializer(list(KINDS.values()), many=True).data)
