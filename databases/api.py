"""A Database over HTTP: its connection and policy, the connection check and the inventory.

Rooms above extend the serializer and the view with what they promise about a Database.
"""

from collections.abc import Iterable, Mapping
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

from databases.engines import registry
from databases.engines.option_fields import OptionField
from databases.hooks import DEFAULT_TIMEOUT_S, MAX_COMMANDS, MAX_LENGTH, MAX_TIMEOUT_S, MAX_WORDS, Hooks
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
from databases.schedule import INHERIT, next_runs, schedule_fault, sentence, timezone_fault
from databases.selectors import next_runs_of, retention_of, schedule_of, sensitivity_of, sentence_of, site_policy
from databases.services.check import check_database, read_inventory
from databases.services.delete import delete_database
from databases.services.save import save_database
from jobs.api import RoleOfActions, StrictSerializer
from jobs.roles import Role

KEEPS = ("retention_days", "max_backups", "keep_daily", "keep_weekly", "keep_monthly", "keep_yearly")
MAX_KEEP = 100_000
SCHEDULE = {
    "nullable": True,
    "oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
    "description": "A 5-field cron, a list of them (their union), `inherit`, or null for none.",
}

OPTION_SHAPES: dict[str, dict[str, Any]] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "list": {"type": "array", "items": {"type": "string"}},
    "dict": {"type": "object", "additionalProperties": {"type": "string"}},
}


@extend_schema_field(SCHEDULE)
class ScheduleField(serializers.JSONField):
    """Checked by the service, which knows cron."""


def _option_schema(option: OptionField) -> dict[str, Any]:
    """How one option of an engine is described; a secret one is write-only."""
    shape: dict[str, Any] = dict(OPTION_SHAPES[option.type])
    if option.choices:
        shape["enum"] = list(option.choices)
    if option.secret:
        shape["writeOnly"] = True
    return (
        shape | ({"description": option.help} if option.help else {}) | ({"nullable": True} if option.nullable else {})
    )


def options_schema(options: Mapping[str, Iterable[OptionField]]) -> dict[str, Any]:
    """What a field `options` may hold, by kind."""
    kinds = [
        {
            "title": kind,
            "type": "object",
            "additionalProperties": False,
            "properties": {option.name: _option_schema(option) for option in of_kind},
        }
        for kind, of_kind in options.items()
    ]
    return {
        "anyOf": kinds,
        "description": "Options of the kind. PATCH replaces those that are shown; a secret one that is left out "
        "keeps its value, an empty one is removed. Secret ones are never shown: `secret_options` names those set.",
    }


@extend_schema_field(options_schema({kind: registry.option_fields(kind) for kind in registry.kinds()}))
class OptionsField(serializers.DictField):
    pass


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


class CommandsField(serializers.ListField):
    child = serializers.ListField(
        child=serializers.CharField(max_length=MAX_LENGTH, allow_blank=True, trim_whitespace=False),
        min_length=1,
        max_length=MAX_WORDS,
        help_text="The absolute path of a program, and its arguments. No shell reads them.",
    )


class HooksSerializer(StrictSerializer):
    """Commands around a backup. What is left out is empty; `{}` removes them all."""

    pre = CommandsField(required=False, max_length=MAX_COMMANDS)
    post = CommandsField(required=False, max_length=MAX_COMMANDS)
    timeout_s = serializers.IntegerField(
        min_value=1,
        max_value=MAX_TIMEOUT_S,
        required=False,
        help_text=f"Of each command; {DEFAULT_TIMEOUT_S} if unsaid.",
    )


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


class ScheduleQuestionSerializer(StrictSerializer):
    """What a schedule would mean, before it is saved."""

    schedule = ScheduleField(allow_null=True)
    timezone = serializers.CharField(max_length=63, default="UTC")

    def validate_schedule(self, schedule: Any) -> Any:
        if fault := schedule_fault(schedule):
            raise serializers.ValidationError(fault)
        return site_policy().schedule if schedule == INHERIT else schedule

    def validate_timezone(self, name: str) -> str:
        if fault := timezone_fault(name):
            raise serializers.ValidationError(fault)
        return name


class ScheduleAnswerSerializer(serializers.Serializer[Any]):
    sentence = serializers.CharField(help_text="In plain English; empty for none.")
    next_runs = serializers.ListField(child=serializers.DateTimeField())


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


class ScheduleViewSet(RoleOfActions, viewsets.GenericViewSet[Database]):
    """Schedules, before they are saved."""

    queryset = Database.objects.none()
    serializer_class = ScheduleQuestionSerializer
    roles = {"preview": Role.VIEWER}

    @extend_schema(request=ScheduleQuestionSerializer, responses=ScheduleAnswerSerializer)
    @action(detail=False, methods=["post"])
    def preview(self, request: Request) -> Response:
        """A schedule in plain English, and its next five due times. Changes nothing."""
        asked = self.get_serializer(data=request.data)
        asked.is_valid(raise_exception=True)
        schedule, zone = asked.validated_data["schedule"], asked.validated_data["timezone"]
        due = next_runs(schedule, zone, after=timezone.now())
        return Response(ScheduleAnswerSerializer({"sentence": sentence(schedule), "next_runs": due}).data)


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
