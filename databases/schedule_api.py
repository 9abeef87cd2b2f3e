"""Schedules over HTTP, before they are saved."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from databases.api_fields import ScheduleField
from databases.models import Database
from databases.schedule import INHERIT, next_runs, schedule_fault, sentence, timezone_fault
from databases.selectors import site_policy
from jobs.api import RoleOfActions, StrictSerializer
from jobs.roles import Role


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
