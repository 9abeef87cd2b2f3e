"""A Database over HTTP: its connection and policy, the connection check and the inventory.

Rooms above extend the serializer and the view with what they promise about a Database.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import django_filters
from django.conf import settings
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from databases.api_fields import MAX_KEEP, HooksSerializer, OptionsField, ScheduleField
from databases.engines import registry
from databases.hooks import Hooks
from databases.masking_api import Masking
from databases.models import (
    CatchUp,
    Compression,
    Database,
    Encryption,
    Policy,
    ScheduledType,
    Sensitivity,
    make_database_id,
    own_sensitivity,
)
from databases.selectors import next_runs_of, retention_of, schedule_of, sensitivity_of, sentence_of, site_policy
from databases.services.check import check_database, read_inventory
from databases.services.delete import delete_database
from databases.services.save import save_database
from jobs.api import RoleOfActions, StrictSerializer
from jobs.roles import Role


def _keep() -> serializers.IntegerField:
    return serializers.IntegerField(min_value=0, max_value=MAX_KEEP, allow_null=True, required=False)


class EffectiveSerializer(serializers.Serializer[Any]):
    """What applies after inheriting. For the numbers 0 is off."""

    schedule = serializers.ListField(child=serializers.CharField())
    retention_days = serializers.IntegerField()
    max_backups = serializers.IntegerField()
    keep_daily = serializers.IntegerField()
    keep_weekly = serializers.IntegerField()
    keep_monthly = serializers.IntegerField()
    keep_yearly = serializers.IntegerField()
    anomalies = serializers.ChoiceField(choices=Sensitivity.choices)
    encryption_recipients = serializers.ListField(child=serializers.CharField())


class DatabaseSerializer(StrictSerializer):
    id = serializers.CharField(max_length=63, required=False)
    name = serializers.CharField(max_length=200)
    engine = serializers.ChoiceField(choices=registry.kinds(), help_text="Cannot change.")
    host = serializers.CharField(max_length=255, allow_blank=True, required=False)
    port = serializers.IntegerField(min_value=1, max_value=65535, allow_null=True, required=False)
    username = serializers.CharField(max_length=255, allow_blank=True, required=False)
    password = serializers.CharField(
        max_length=4096, allow_blank=True, allow_null=True, required=False, write_only=True, trim_whitespace=False
    )
    has_password = serializers.SerializerMethodField()
    database_name = serializers.CharField(max_length=255, allow_blank=True, required=False)
    options = OptionsField(required=False)
    secret_options = serializers.SerializerMethodField()
    enabled = serializers.BooleanField(required=False)
    schedule = ScheduleField(allow_null=True, required=False)
    timezone = serializers.CharField(max_length=63, required=False)
    schedule_sentence = serializers.SerializerMethodField(help_text="What applies, in plain English; empty for none.")
    next_run_at = serializers.SerializerMethodField()
    next_runs = serializers.SerializerMethodField()
    scheduled_type = serializers.ChoiceField(
        choices=ScheduledType.choices, required=False, help_text="What the schedule makes, where the engine can."
    )
    catch_up = serializers.ChoiceField(choices=CatchUp.choices, required=False)
    retention_days = _keep()
    max_backups = _keep()
    keep_daily = _keep()
    keep_weekly = _keep()
    keep_monthly = _keep()
    keep_yearly = _keep()
    anomalies = serializers.ChoiceField(
        choices=own_sensitivity(),
        required=False,
        help_text="From how large a change on a backup is marked as unlike those before it.",
    )
    compression = serializers.ChoiceField(choices=Compression.choices, required=False)
    compression_level = serializers.IntegerField(min_value=1, max_value=19, allow_null=True, required=False)
    encryption = serializers.ChoiceField(choices=Encryption.choices, required=False)
    encryption_recipients = serializers.ListField(
        child=serializers.CharField(max_length=2000), allow_null=True, required=False, max_length=50
    )
    hooks = HooksSerializer(
        required=False,
        help_text="Shown to admins only. Programs have to be allowed by the deployment's BACKUPSITE_HOOK_PROGRAMS.",
    )
    package = serializers.BooleanField(required=False)
    queue = serializers.CharField(max_length=63, allow_blank=True, required=False)
    effective = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField(read_only=True)
    updated_at = serializers.DateTimeField(read_only=True)

    def to_representation(self, database: Database) -> dict[str, Any]:
        shown = super().to_representation(database)
        if getattr(self.context.get("view"), "role", Role.NONE) < Role.ADMIN:
            del shown["hooks"]
        else:
            shown["hooks"] = Hooks.of(database.hooks).as_stored()
        return dict(shown)

    def validate_engine(self, engine: str) -> str:
        if self.instance is not None and engine != self.instance.engine:
            raise serializers.ValidationError("The engine of a Database cannot change.")
        return engine

    def validate_id(self, given: str) -> str:
        if self.instance is not None and given != self.instance.pk:
            raise serializers.ValidationError("The id of a Database cannot change.")
        return given

    @cached_property
    def policy(self) -> Policy:
        """The site's, read once an answer."""
        return site_policy()

    def get_has_password(self, database: Database) -> bool:
        return "password" in database.secret_names

    @extend_schema_field({"type": "array", "items": {"type": "string"}})
    def get_secret_options(self, database: Database) -> list[str]:
        prefix = "options."
        return [name.removeprefix(prefix) for name in database.secret_names if name.startswith(prefix)]

    @extend_schema_field({"type": "string", "format": "date-time", "nullable": True})
    def get_next_run_at(self, database: Database) -> Any:
        return next(iter(self.get_next_runs(database)), None)

    @extend_schema_field({"type": "array", "items": {"type": "string", "format": "date-time"}})
    def get_next_runs(self, database: Database) -> list[Any]:
        field = serializers.DateTimeField()
        due = next_runs_of(database, self.policy, after=timezone.now())
        return [field.to_representation(at) for at in due]

    def get_schedule_sentence(self, database: Database) -> str:
        return sentence_of(database, self.policy)

    @extend_schema_field(EffectiveSerializer)
    def get_effective(self, database: Database) -> dict[str, Any]:
        encrypted = database.encryption == Encryption.AGE
        recipients = database.encryption_recipients or settings.BACKUPSITE_AGE_RECIPIENTS
        return {
            "schedule": schedule_of(database, self.policy),
            **retention_of(database, self.policy),
            "anomalies": sensitivity_of(database, self.policy),
            "encryption_recipients": list(recipients) if encrypted else [],
        }


class CheckSerializer(serializers.Serializer[Any]):
    """The outcome of a connection check; `error`, `code` and `hint` are empty when `ok`."""

    ok = serializers.BooleanField()
    latency_ms = serializers.FloatField(allow_null=True)
    server_version = serializers.CharField()
    tool_version = serializers.CharField()
    warnings = serializers.ListField(child=serializers.CharField())
    error = serializers.CharField()
    code = serializers.CharField()
    hint = serializers.CharField()


class InventoryItemSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    kind = serializers.CharField()
    rows = serializers.IntegerField(allow_null=True)
    size = serializers.IntegerField(allow_null=True)


class InventorySerializer(serializers.Serializer[Any]):
    """What a backup would hold. Rows are the server's estimates; sizes are bytes."""

    size = serializers.IntegerField(allow_null=True)
    items = InventoryItemSerializer(many=True)


class DatabaseFilters(django_filters.FilterSet):
    engine = django_filters.CharFilter()
    enabled = django_filters.BooleanFilter()
    package = django_filters.BooleanFilter()

    class Meta:
        model = Database
        fields: ClassVar[list[str]] = []


class DatabaseViewSet(
    RoleOfActions, mixins.ListModelMixin, mixins.RetrieveModelMixin, Masking, viewsets.GenericViewSet[Database]
):
    """Databases: what is protected, and how."""

    queryset: QuerySet[Database] = Database.objects.all()
    serializer_class: type[DatabaseSerializer] = DatabaseSerializer
    lookup_value_regex = "[^/\\x00]+"
    filterset_class = DatabaseFilters
    search_fields = ("id", "name", "host", "database_name")
    ordering_fields = ("name", "id", "engine", "created_at", "updated_at")
    ordering = ("name",)
    roles = {"check": Role.OPERATOR}

    def create(self, request: Request) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        database = Database(pk=serializer.validated_data.get("id") or make_database_id())
        self.save(database, serializer.validated_data, create=True)
        return Response(
            self.get_serializer(self.get_queryset().get(pk=database.pk)).data,
            status=201,
            headers={"Location": reverse("api:database-detail", args=[database.pk])},
        )

    def partial_update(self, request: Request, pk: str) -> Response:
        database = self.get_object()
        serializer = self.get_serializer(database, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        self.save(database, serializer.validated_data, create=False)
        return Response(self.get_serializer(self.get_queryset().get(pk=pk)).data)

    def save(self, database: Database, values: Mapping[str, Any], *, create: bool) -> None:
        save_database(database=database, values=values, create=create)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Removes the Database and its schedule. Its backups stay listed and restorable."""
        delete_database(database=self.get_object())
        return Response(status=204)

    @extend_schema(request=None, responses=CheckSerializer)
    @action(detail=True, methods=["post"])
    def check(self, request: Request, pk: str) -> Response:
        """Connects and reports. A connection that fails is a report with `ok` false, not an error."""
        return Response(CheckSerializer(check_database(database=self.get_object())).data)

    @extend_schema(responses=InventorySerializer)
    @action(detail=True, filter_backends=[], pagination_class=None)
    def inventory(self, request: Request, pk: str) -> Response:
        """What a full backup would hold now."""
        return Response(InventorySerializer(read_inventory(database=self.get_object())).data)
