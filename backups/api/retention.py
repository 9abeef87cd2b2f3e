"""What retention would do with the backups of a Database, as it is or with other limits; changes nothing."""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema_field
from rest_framework import serializers

from backups.models import Backup
from backups.retention import Verdict
from backups.services.explain import explain_retention, limits_of
from databases.api_fields import KEEPS, MAX_KEEP
from databases.models import Database
from databases.selectors import site_policy
from jobs.api import StrictSerializer
from jobs.models import Status

ACTIONS = ("keep", "expire")
PARAMETERS = [
    *(OpenApiParameter(name, int, description=f"Instead of the Database's own `{name}`; 0 is off.") for name in KEEPS),
    OpenApiParameter("action", enum=ACTIONS, description="Only those that stay, or only those that go."),
    OpenApiParameter("page", int),
    OpenApiParameter("page_size", int, description="Rows on a page: 50 unless told, never more than 200."),
]


def _number() -> serializers.IntegerField:
    return serializers.IntegerField(min_value=0, max_value=MAX_KEEP, required=False)


class ChangesSerializer(StrictSerializer):
    retention_days = _number()
    max_backups = _number()
    keep_daily = _number()
    keep_weekly = _number()
    keep_monthly = _number()
    keep_yearly = _number()
    action = serializers.ChoiceField(choices=ACTIONS, required=False)
    page = serializers.CharField(required=False)
    page_size = serializers.CharField(required=False)


class LimitsSerializer(serializers.Serializer[Any]):
    """The limits and tiers that were applied; 0 is off."""

    retention_days = serializers.IntegerField()
    max_backups = serializers.IntegerField()
    keep_daily = serializers.IntegerField()
    keep_weekly = serializers.IntegerField()
    keep_monthly = serializers.IntegerField()
    keep_yearly = serializers.IntegerField()
    failed_days = serializers.IntegerField()


class VerdictSerializer(serializers.Serializer[Verdict]):
    id = serializers.CharField(source="fact.id")
    status = serializers.ChoiceField(source="fact.status", choices=Status.choices)
    type = serializers.ChoiceField(source="fact.type", choices=Backup.Type.choices)
    finished_at = serializers.DateTimeField(source="fact.finished_at", allow_null=True)
    action = serializers.SerializerMethodField()
    reasons = serializers.ListField(child=serializers.CharField(), help_text="All of them, in words.")
    expires_at = serializers.DateTimeField(allow_null=True, help_text="When its age lets it go, where that decides.")

    @extend_schema_field(serializers.ChoiceField(choices=ACTIONS))
    def get_action(self, verdict: Verdict) -> str:
        return "expire" if verdict.goes else "keep"


class PreviewSerializer(serializers.Serializer[Any]):
    """`results` are a page of the verdicts, newest first; the figures are of all backups."""

    retention = LimitsSerializer()
    keep_count = serializers.IntegerField()
    expire_count = serializers.IntegerField()
    freed_bytes = serializers.IntegerField(help_text="What would be deleted, in bytes.")
    count = serializers.IntegerField()
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = VerdictSerializer(many=True)


def preview(database: Database, query: Mapping[str, Any]) -> tuple[list[Verdict], dict[str, Any]]:
    """The verdicts that were asked for, and the figures of all. Raises ValidationError by parameter."""
    asked = ChangesSerializer(data=dict(query.items()))
    asked.is_valid(raise_exception=True)
    changes = {name: asked.validated_data[name] for name in KEEPS if name in asked.validated_data}
    limits = limits_of(database, site_policy(), changes)
    verdicts = explain_retention(database=database, limits=limits, now=timezone.now())
    going = {verdict.fact.id for verdict in verdicts if verdict.goes}
    sizes = Backup.objects.filter(database=database, status=Status.COMPLETED).order_by().values_list("pk", "size")
    figures = {
        "retention": limits,
        "keep_count": len(verdicts) - len(going),
        "expire_count": len(going),
        "freed_bytes": sum(size or 0 for pk, size in sizes if pk in going),
    }
    if action := asked.validated_data.get("action"):
        verdicts = [verdict for verdict in verdicts if verdict.goes is (action == "expire")]
    return verdicts, figures
