"""A Database with what is promised about it: where its backups go, and how the last ones went."""

from collections.abc import Mapping
from typing import Any, cast

from django.urls import reverse
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from backups.api import retention
from backups.api.approvals import ApprovalSerializer, waiting
from backups.api.common import accepted, user_of
from backups.api.copies import CopiesOfDatabase
from backups.api.drill_serializers import DrillPlanSerializer, DrillRequestSerializer, DrillSerializer
from backups.models import DatabaseDestination, Destination, Drill, DrillPlan
from backups.selectors import databases_with_states
from backups.services.ask_approval import ask_to_delete_database
from backups.services.clone import clone_database
from backups.services.place import MOST
from backups.services.protect import protect_database
from backups.services.request_drill import request_drill
from backups.services.save_drill_plan import save_drill_plan
from databases import api as base
from databases.models import Database
from databases.services.consent import needs_second_person
from jobs.api import StrictSerializer
from jobs.models import Status
from jobs.roles import Role


class LastBackupSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    status = serializers.ChoiceField(choices=Status.choices)
    finished_at = serializers.DateTimeField(allow_null=True)


class EffectiveSerializer(base.EffectiveSerializer):
    """What applies after inheriting. For the numbers 0 is off; no destination means that no backup can be made."""

    destinations = serializers.ListField(child=serializers.CharField())


class DestinationIds(serializers.ListField):
    """The ids in their order; the first is primary."""

    child = serializers.CharField(max_length=63)

    def get_attribute(self, database: Database) -> list[str]:
        return [placement.destination_id for placement in database.placements.all()]


class PlacementSerializer(StrictSerializer):
    destination = serializers.CharField(max_length=63, source="destination_id")
    retention_days = serializers.IntegerField(
        min_value=1, max_value=36500, allow_null=True, required=False, help_text="null: as long as the backup."
    )


class Placements(serializers.ListField):
    child = PlacementSerializer()

    def get_attribute(self, database: Database) -> list[DatabaseDestination]:
        return list(database.placements.all())


class DatabaseSerializer(base.DatabaseSerializer):
    destinations = DestinationIds(
        required=False, max_length=MOST, help_text="The first is primary, the others get copies. Empty: the default."
    )
    placements = Placements(
        required=False, max_length=MOST, help_text="The same with the days that copies stay there; give one of the two."
    )
    last_backup = serializers.SerializerMethodField()
    last_completed_at = serializers.DateTimeField(read_only=True, allow_null=True)
    last_proven_at = serializers.DateTimeField(read_only=True, allow_null=True)
    held_by = serializers.CharField(
        read_only=True,
        allow_null=True,
        help_text="A backup that is unlike those before it: nothing is pruned until somebody has looked at it.",
    )

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        """What was read can be sent back: both are taken where they say the same."""
        given = super().validate(given)
        if "placements" in given:
            given["placements"] = [
                {"destination": place["destination_id"], "retention_days": place.get("retention_days")}
                for place in given["placements"]
            ]
            ids = [place["destination"] for place in given["placements"]]
            if given.pop("destinations", ids) != ids:
                raise serializers.ValidationError({"placements": ["Give this or destinations: they differ."]})
        return given

    @extend_schema_field(LastBackupSerializer(allow_null=True))
    def get_last_backup(self, database: Any) -> dict[str, Any] | None:
        if database.last_backup_id is None:
            return None
        last = {
            "id": database.last_backup_id,
            "status": database.last_backup_status,
            "finished_at": database.last_backup_finished_at,
        }
        return dict(LastBackupSerializer(last).data)

    @extend_schema_field(EffectiveSerializer)
    def get_effective(self, database: Database) -> dict[str, Any]:
        named = [placement.destination_id for placement in database.placements.all()]
        return {**super().get_effective(database), "destinations": named or self._default_destinations()}

    def _default_destinations(self) -> list[str]:
        """Asked once for a whole list."""
        context = cast(dict[str, Any], self.context)
        if "default_destinations" not in context:
            default = Destination.objects.filter(is_default=True).values_list("pk", flat=True)
            context["default_destinations"] = list(default)
        return list(context["default_destinations"])


class CloneSerializer(StrictSerializer):
    """What the clone is called; it gets everything else of the original, but no backups."""

    name = serializers.CharField(max_length=200, required=False, help_text="The name of the original unless given.")
    id = serializers.CharField(max_length=63, required=False, help_text="One is made unless given.")


class DatabaseViewSet(CopiesOfDatabase, base.DatabaseViewSet):
    """Databases: what is protected, and how."""

    queryset = databases_with_states()
    serializer_class = DatabaseSerializer
    roles = {**base.DatabaseViewSet.roles, "drill": Role.OPERATOR}
    starts_job = frozenset({"drill"})

    def save(self, database: Database, values: Mapping[str, Any], *, create: bool) -> None:
        protect_database(database=database, values=values, create=create)

    @extend_schema(responses={204: None, 202: ApprovalSerializer})
    def destroy(self, request: Request, pk: str) -> Response:
        """Removes the Database and its schedule. Its backups stay listed and restorable. 202 where a second person has
        to agree."""
        if needs_second_person():
            return waiting(ask_to_delete_database(database=self.get_object(), user=user_of(request)))
        return super().destroy(request, pk)

    @extend_schema(request=CloneSerializer, responses={201: DatabaseSerializer})
    @action(detail=True, methods=["post"], filter_backends=[])
    def clone(self, request: Request, pk: str) -> Response:
        """Another Database like it, with its secrets, which are copied on the server and shown nowhere. It is disabled:
        nothing of it runs before somebody enables it."""
        asked = CloneSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        database = self.get_object()
        name, new_id = asked.validated_data.get("name", database.name), asked.validated_data.get("id", "")
        clone = clone_database(database=database, name=name, new_id=new_id)
        shown = self.get_serializer(self.get_queryset().get(pk=clone.pk)).data
        return Response(shown, status=201, headers={"Location": reverse("api:database-detail", args=[clone.pk])})

    @extend_schema(parameters=retention.PARAMETERS, responses=retention.PreviewSerializer)
    @action(detail=True, url_path="retention-preview", filter_backends=[])
    def retention_preview(self, request: Request, pk: str) -> Response:
        """Why each backup stays or goes, with these limits or others. Changes nothing."""
        verdicts, figures = retention.preview(self.get_object(), request.query_params)
        page = self.paginate_queryset(verdicts)
        pages = self.get_paginated_response(page).data
        return Response(retention.PreviewSerializer({**figures, **pages}).data)

    @extend_schema(request=DrillRequestSerializer, responses={202: DrillSerializer})
    @action(detail=True, methods=["post"], filter_backends=[])
    def drill(self, request: Request, pk: str) -> Response:
        """Restores one of its backups into a scratch target and compares; the plan says what the body does not."""
        asked = DrillRequestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        values = {**asked.validated_data, "trigger": Drill.Trigger.API, "user": user_of(request)}
        run = request_drill(database=self.get_object(), **values)
        return accepted(DrillSerializer(run), "api:drill-detail", run)

    @extend_schema(responses=DrillPlanSerializer)
    @action(detail=True, url_path="drill-plan", filter_backends=[], pagination_class=None)
    def drill_plan(self, request: Request, pk: str) -> Response:
        """How it is drilled; as it would be where nobody has set it yet."""
        database = self.get_object()
        plan = DrillPlan.objects.filter(pk=database.pk).first() or DrillPlan(database=database)
        return Response(DrillPlanSerializer(plan).data)

    @extend_schema(request=DrillPlanSerializer, responses=DrillPlanSerializer)
    @drill_plan.mapping.patch
    def change_drill_plan(self, request: Request, pk: str) -> Response:
        given = DrillPlanSerializer(data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        plan = save_drill_plan(database=self.get_object(), values=given.changes())
        return Response(DrillPlanSerializer(plan).data)
