"""Sources of user data over HTTP: where the data of users is, and how it is asked for."""

from collections.abc import Mapping
from typing import Any, ClassVar

import django_filters
from django.urls import reverse
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from databases.api import CheckSerializer
from databases.api_fields import options_schema
from exports.models import Source
from exports.services.build_source import check_source
from exports.services.save_source import delete_source, save_source
from exports.sources import registry
from jobs.api import RoleOfActions, StrictSerializer
from jobs.identifiers import make_id
from jobs.roles import Role


@extend_schema_field(options_schema({kind: registry.option_fields(kind) for kind in registry.SOURCES}))
class SourceOptionsField(serializers.DictField):
    pass


class ExportSourceSerializer(StrictSerializer):
    id = serializers.CharField(max_length=63, required=False)
    name = serializers.CharField(max_length=200)
    kind = serializers.ChoiceField(choices=sorted(registry.SOURCES), help_text="Cannot change.")
    enabled = serializers.BooleanField(required=False)
    username = serializers.CharField(max_length=255, allow_blank=True, required=False)
    password = serializers.CharField(
        max_length=4096, allow_blank=True, allow_null=True, required=False, write_only=True, trim_whitespace=False
    )
    has_password = serializers.SerializerMethodField()
    options = SourceOptionsField(required=False)
    secret_options = serializers.SerializerMethodField()
    managed = serializers.BooleanField(read_only=True, help_text="Comes from the configuration file.")
    created_at = serializers.DateTimeField(read_only=True)
    updated_at = serializers.DateTimeField(read_only=True)

    def validate_id(self, given: str) -> str:
        if self.instance is not None and given != self.instance.pk:
            raise serializers.ValidationError("The id of a source cannot change.")
        return given

    def get_has_password(self, source: Source) -> bool:
        return "password" in source.secret_names

    @extend_schema_field({"type": "array", "items": {"type": "string"}})
    def get_secret_options(self, source: Source) -> list[str]:
        prefix = "options."
        return [name.removeprefix(prefix) for name in source.secret_names if name.startswith(prefix)]


class ExportSourceFilters(django_filters.FilterSet):
    kind = django_filters.ChoiceFilter(choices=Source.Kind.choices)
    enabled = django_filters.BooleanFilter()

    class Meta:
        model = Source
        fields: ClassVar[list[str]] = []


class ExportSourceViewSet(
    RoleOfActions, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Source]
):
    """Sources of user data: where an export takes it from."""

    queryset = Source.objects.all()
    serializer_class = ExportSourceSerializer
    lookup_value_regex = "[^/\\x00]+"
    filterset_class = ExportSourceFilters
    search_fields = ("id", "name")
    ordering_fields = ("name", "id", "kind", "created_at")
    ordering = ("name",)
    roles = {"check": Role.OPERATOR}

    def create(self, request: Request) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        values: Mapping[str, Any] = serializer.validated_data
        source = Source(pk=values.get("id") or make_id("src"))
        saved = save_source(source=source, values=values, create=True)
        location = reverse("api:export-source-detail", args=[saved.pk])
        return Response(self.get_serializer(saved).data, status=201, headers={"Location": location})

    def partial_update(self, request: Request, pk: str) -> Response:
        source = self.get_object()
        serializer = self.get_serializer(source, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        saved = save_source(source=source, values=serializer.validated_data, create=False)
        return Response(self.get_serializer(saved).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Exports that were made of it stay."""
        delete_source(source=self.get_object())
        return Response(status=204)

    @extend_schema(request=None, responses=CheckSerializer)
    @action(detail=True, methods=["post"])
    def check(self, request: Request, pk: str) -> Response:
        """Whether it answers, without anybody's data. What fails is a report with `ok` false."""
        return Response(CheckSerializer(check_source(source=self.get_object())).data)
