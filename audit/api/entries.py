"""Entries of the audit: listed by pages, or all that a filter leaves as one line of JSON each."""

import json
from collections.abc import Iterator
from typing import ClassVar

import django_filters
from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request

from audit.models import Entry
from jobs.api import RoleOfActions
from jobs.roles import Role

BATCH = 500


class EntrySerializer(serializers.Serializer[Entry]):
    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    user_id = serializers.IntegerField(allow_null=True)
    who = serializers.CharField(help_text="Name of the user, or of the host's user for a command.")
    role = serializers.CharField()
    via = serializers.ChoiceField(choices=Entry.Via.choices)
    through = serializers.CharField(help_text="The API key's name, or how the session began.")
    address = serializers.CharField()
    action = serializers.CharField()
    object_type = serializers.CharField()
    object_id = serializers.CharField()
    object_name = serializers.CharField()
    changes = serializers.SerializerMethodField(help_text="Rows that changed, and their fields; never a secret.")
    outcome = serializers.ChoiceField(choices=Entry.Outcome.choices)
    detail = serializers.CharField()

    @extend_schema_field({"type": "array", "items": {"type": "object", "additionalProperties": {}}})
    def get_changes(self, entry: Entry) -> object:
        return entry.changes


class EntryFilters(django_filters.FilterSet):
    who = django_filters.CharFilter()
    action = django_filters.CharFilter(help_text="An action, or a family such as `database.`", method="of_action")
    object_id = django_filters.CharFilter()
    address = django_filters.CharFilter()
    via = django_filters.MultipleChoiceFilter(choices=Entry.Via.choices, distinct=False)
    outcome = django_filters.MultipleChoiceFilter(choices=Entry.Outcome.choices, distinct=False)
    since = django_filters.IsoDateTimeFilter(field_name="at", lookup_expr="gte")
    until = django_filters.IsoDateTimeFilter(field_name="at", lookup_expr="lt")

    class Meta:
        model = Entry
        fields: ClassVar[list[str]] = []

    def of_action(self, rows: QuerySet[Entry], name: str, value: str) -> QuerySet[Entry]:
        return rows.filter(action__startswith=value) if value.endswith(".") else rows.filter(action=value)


class EntryViewSet(RoleOfActions, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Entry]):
    """The audit: who did what, from where."""

    queryset = Entry.objects.all()
    serializer_class = EntrySerializer
    lookup_value_regex = "[0-9]{1,18}"
    filterset_class = EntryFilters
    search_fields = ("who", "action", "object_id", "object_name", "address", "through")
    ordering_fields = ("id", "at", "who", "action")
    ordering = ("-id",)
    roles: ClassVar[dict[str, Role]] = dict.fromkeys(("list", "retrieve", "export"), Role.ADMIN)

    @extend_schema(
        responses={(200, "application/x-ndjson"): OpenApiResponse(OpenApiTypes.STR, description="An entry a line.")}
    )
    @action(detail=False, pagination_class=None, url_name="export-download")
    def export(self, request: Request) -> StreamingHttpResponse:
        """All that the filters leave, an entry a line, the oldest first."""
        rows = self.filter_queryset(self.get_queryset()).order_by("id")
        answer = StreamingHttpResponse(_lines(rows), content_type="application/x-ndjson")
        answer["Content-Disposition"] = 'attachment; filename="audit.ndjson"'
        return answer


def _lines(rows: QuerySet[Entry]) -> Iterator[str]:
    """Read in batches by id, so that no transaction stays open while bytes flow."""
    last = 0
    while batch := list(rows.filter(id__gt=last)[:BATCH]):
        for entry in batch:
            yield json.dumps(EntrySerializer(entry).data, ensure_ascii=False) + "\n"
        last = batch[-1].pk
