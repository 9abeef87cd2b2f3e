"""The site's policy over HTTP: what a Database that does not say itself inherits. One row, so one address."""

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from databases.api_fields import MAX_KEEP, ScheduleField
from databases.models import Compression, Policy, Sensitivity
from databases.schedule import crons, sentence
from databases.selectors import site_policy
from databases.services.save_policy import save_policy
from jobs.api import RoleOfActions, StrictSerializer

MAX_JITTER_S = 24 * 3600
BLACKOUTS = {
    "type": "array",
    "maxItems": 100,
    "items": {
        "type": "object",
        "additionalProperties": False,
        "required": ["from", "to"],
        "properties": {
            "from": {"type": "string", "example": "08:00"},
            "to": {"type": "string", "example": "18:30"},
            "days": {
                "type": "array",
                "items": {"type": "string", "enum": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]},
            },
            "timezone": {"type": "string", "example": "Europe/Berlin"},
        },
    },
    "description": "Windows in which no schedule starts a backup.",
}


@extend_schema_field(BLACKOUTS)
class BlackoutsField(serializers.ListField):
    """Checked by the service, which knows times and days."""

    child = serializers.DictField()


def _number(help_text: str, *, most: int = MAX_KEEP) -> serializers.IntegerField:
    return serializers.IntegerField(min_value=0, max_value=most, required=False, help_text=help_text)


class PolicySerializer(StrictSerializer):
    """For the numbers 0 is off."""

    schedule = ScheduleField(allow_null=True, required=False)
    schedule_sentence = serializers.SerializerMethodField(help_text="In plain English; empty for none.")
    jitter_s = _number("Start scheduled backups up to this many seconds late.", most=MAX_JITTER_S)
    paused = serializers.BooleanField(required=False, help_text="No schedule starts a backup while this is set.")
    blackouts = BlackoutsField(required=False, max_length=100)
    retention_days = _number("Delete backups older than this many days.")
    max_backups = _number("Keep at most this many backups of a Database.")
    keep_daily = _number("Keep one backup for each of so many days.")
    keep_weekly = _number("Keep one backup for each of so many weeks.")
    keep_monthly = _number("Keep one backup for each of so many months.")
    keep_yearly = _number("Keep one backup for each of so many years.")
    failed_days = _number("Forget failed and cancelled backups after this many days.")
    verify_within_days = _number("Read every copy again within so many days.")
    drill_within_days = _number("Tell of a Database that has no backup proven within so many days.")
    anomalies = serializers.ChoiceField(
        choices=Sensitivity.choices,
        required=False,
        help_text="From how large a change on a backup is marked as unlike those before it.",
    )
    compression = serializers.ChoiceField(choices=Compression.choices, required=False)
    managed = serializers.BooleanField(read_only=True, help_text="It comes from the configuration file.")
    updated_at = serializers.DateTimeField(read_only=True, allow_null=True, help_text="Null before it was ever set.")

    def get_schedule_sentence(self, policy: Policy) -> str:
        return sentence(crons(policy.schedule))


class PolicyViewSet(RoleOfActions, viewsets.GenericViewSet[Policy]):
    """The site's policy: what a Database that does not say itself inherits."""

    queryset = Policy.objects.none()
    serializer_class = PolicySerializer
    pagination_class = None
    http_method_names = ["get", "head", "patch"]

    def retrieve(self, request: Request) -> Response:
        """As it is; as it would be made where nobody has set it yet."""
        return Response(self.get_serializer(site_policy()).data)

    def partial_update(self, request: Request) -> Response:
        """Changes what Databases inherit. Retention follows within a round of the sweeper."""
        given = self.get_serializer(data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        return Response(self.get_serializer(save_policy(values=given.validated_data)).data)
