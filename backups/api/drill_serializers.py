"""How drills and their plans are shown, and what asking for one holds."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from backups.api.common import invalid
from backups.api.serializers import IdentitySerializer, RunSerializer
from backups.models import Destination, Drill, DrillPlan, Pick
from backups.selectors import drills_due
from backups.services.assertions import MAX_ASSERTIONS, OPERATORS
from databases.api_fields import MAX_KEEP, ScheduleField
from databases.models import Database
from databases.schedule import schedule_fault, sentence
from jobs.api import StrictSerializer

ASSERTIONS = {
    "type": "array",
    "maxItems": MAX_ASSERTIONS,
    "items": {
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "query", "operator", "value"],
        "properties": {
            "name": {"type": "string", "example": "there are orders"},
            "query": {"description": "In the engine's own words.", "example": "SELECT count(*) FROM orders"},
            "operator": {"type": "string", "enum": list(OPERATORS)},
            "value": {"oneOf": [{"type": "number"}, {"type": "boolean"}]},
        },
    },
    "description": "What has to hold of what was restored.",
}


@extend_schema_field(ASSERTIONS)
class AssertionsField(serializers.ListField):
    """Checked by the service, which asks the engine."""

    child = serializers.DictField()


class DrillSerializer(RunSerializer):
    database_id = serializers.CharField(read_only=True, allow_null=True)
    database_name = serializers.CharField(read_only=True)
    trigger = serializers.ChoiceField(choices=Drill.Trigger.choices, read_only=True)
    destination = serializers.CharField(
        source="destination_id", read_only=True, allow_null=True, help_text="Of the copy; null: the nearest good one."
    )
    server = serializers.CharField(
        source="server_id", read_only=True, allow_null=True, help_text="Null: what the engine makes by itself."
    )
    assertions = AssertionsField(read_only=True)
    waits_for_identity = serializers.BooleanField(
        read_only=True, help_text="It begins when `POST /api/drills/{id}/identity` brings the age secret key."
    )


class DrillBackupRequestSerializer(IdentitySerializer):
    """What is left out is as the Database's drill plan says."""

    destination = serializers.CharField(max_length=63, required=False, help_text="Of the copy to read.")
    server = serializers.CharField(max_length=63, required=False, help_text="Database on whose server to restore.")
    assertions = AssertionsField(required=False)

    def validate_destination(self, pk: str) -> Destination:
        return _destination(pk)

    def validate_server(self, pk: str) -> Database:
        return _server(pk)


class DrillRequestSerializer(DrillBackupRequestSerializer):
    pick = serializers.ChoiceField(choices=Pick.choices, required=False)


class DrillPlanSerializer(StrictSerializer):
    drill_schedule = ScheduleField(source="schedule", allow_null=True, required=False)
    sentence = serializers.SerializerMethodField(help_text="The schedule in plain English; empty for none.")
    next_runs = serializers.SerializerMethodField()
    pick = serializers.ChoiceField(choices=Pick.choices, required=False)
    destination = serializers.CharField(
        source="destination_id", max_length=63, allow_null=True, required=False, help_text="Null: the nearest copy."
    )
    server = serializers.CharField(
        source="server_id",
        max_length=63,
        allow_null=True,
        required=False,
        help_text="Database on whose server scratch targets are made; null: what the engine makes by itself.",
    )
    assertions = AssertionsField(required=False)
    within_days = serializers.IntegerField(
        min_value=0,
        max_value=MAX_KEEP,
        allow_null=True,
        required=False,
        help_text="Told when nothing was proven for so long; null: as the policy says, 0: never.",
    )

    def validate_drill_schedule(self, schedule: Any) -> Any:
        if fault := schedule_fault(schedule):
            raise serializers.ValidationError(fault)
        return schedule

    def get_sentence(self, plan: DrillPlan) -> str:
        return sentence(plan.schedule)

    @extend_schema_field(serializers.ListField(child=serializers.DateTimeField()))
    def get_next_runs(self, plan: DrillPlan) -> list[Any]:
        return drills_due(plan, after=timezone.now())

    def changes(self) -> dict[str, Any]:
        """What `save_drill_plan` takes."""
        values = dict(self.validated_data)
        for name, find in (("destination", _destination), ("server", _server)):
            if f"{name}_id" in values:
                pk = values.pop(f"{name}_id")
                values[name] = None if pk is None else find(pk)
        return values


def _destination(pk: str) -> Destination:
    found = Destination.objects.filter(pk=pk).first()
    if found is None:
        raise invalid("destination", f"No Destination has the id {pk!r}.")
    return found


def _server(pk: str) -> Database:
    found = Database.objects.filter(pk=pk).first()
    if found is None:
        raise invalid("server", f"No Database has the id {pk!r}.")
    return found
