"""Anomalies over HTTP: what is unlike those before it, at the backup it is of, and what somebody says of it."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers as rest
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from backups.anomaly_levels import Change, Measure
from backups.api.common import DETAIL_ACTION, user_of
from backups.models import Anomaly, Backup
from backups.services.look_at_anomaly import MOST_NOTE, say_good_again, say_right, say_wrong
from jobs.api import StrictSerializer

SAY = {"right": say_right, "wrong": say_wrong, "good_again": say_good_again}


class FindingSerializer(rest.Serializer[Any]):
    """Sizes are bytes, the others are counted. `low` and `high` are the usual band."""

    measure = rest.ChoiceField(choices=[one.value for one in Measure])
    name = rest.CharField(help_text="Of a table, collection or prefix (`measure: item`); empty for the others.")
    change = rest.ChoiceField(choices=[one.value for one in Change])
    found = rest.IntegerField()
    previous = rest.IntegerField()
    low = rest.IntegerField()
    high = rest.IntegerField()


class AnomalySerializer(rest.Serializer[Anomaly]):
    """How a backup is unlike those before it, and what was said of it."""

    state = rest.ChoiceField(choices=Anomaly.State.choices)
    holds = rest.BooleanField(help_text="Nothing of its Database is pruned meanwhile.")
    findings = FindingSerializer(many=True)
    found_at = rest.DateTimeField()
    said_by = rest.CharField(source="said_by_name", help_text="Empty for an API key.")
    said_at = rest.DateTimeField(allow_null=True)
    note = rest.CharField()
    ended_by = rest.CharField(source="ended_by_name")
    ended_at = rest.DateTimeField(allow_null=True)
    ended_note = rest.CharField()


class AnomalyRequestSerializer(StrictSerializer):
    verdict = rest.ChoiceField(
        choices=list(SAY),
        help_text="`right`: usual from now on. `wrong`: pruning stays stopped. `good_again`: a good one came after it.",
    )
    note = rest.CharField(
        max_length=MOST_NOTE, allow_blank=True, required=False, help_text="Why; kept with who and when."
    )


class AnomalyOfBackup(GenericViewSet[Backup]):
    """Mixed into the view of backups."""

    @extend_schema(request=AnomalyRequestSerializer, responses=AnomalySerializer)
    @action(methods=["post"], **DETAIL_ACTION)
    def anomaly(self, request: Request, pk: str) -> Response:
        """Says of a marked backup whether it is right, which lets pruning go on; 409 where it is not marked."""
        asked = AnomalyRequestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        say = SAY[asked.validated_data["verdict"]]
        mark = say(backup=self.get_object(), note=asked.validated_data.get("note", ""), user=user_of(request))
        return Response(AnomalySerializer(mark).data)
