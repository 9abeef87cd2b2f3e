"""What every room's API shares: strict request bodies, and how a job is shown."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from jobs.models import Job, Status
from jobs.roles import Role


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields it does not know: a misspelt `retention_day` must not look like success.

    Fields that are only read are accepted and ignored, so that what was read can be sent back changed.
    """

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            unknown = sorted(str(name) for name in data if name not in self.fields)
            if unknown:
                raise serializers.ValidationError({name: ["There is no such field."] for name in unknown})
        return super().to_internal_value(data)


class ProgressSerializer(serializers.Serializer[Job]):
    """How far a running job is."""

    phase = serializers.CharField()
    bytes_done = serializers.IntegerField()
    bytes_total_estimate = serializers.IntegerField(allow_null=True)
    bytes_per_s = serializers.IntegerField()


class JobErrorSerializer(serializers.Serializer[Job]):
    """Why a job failed, in words an operator can act on."""

    code = serializers.CharField(source="error_code")
    message = serializers.CharField(source="error_message")
    hint = serializers.CharField(source="error_hint")


class JobSerializer(serializers.Serializer[Any]):
    """The life cycle that Backup, Restore and Verification have in common. Read only."""

    id = serializers.CharField(read_only=True)
    status = serializers.ChoiceField(choices=Status.choices, read_only=True)
    attempt = serializers.IntegerField(read_only=True)
    scheduled_at = serializers.DateTimeField(read_only=True, allow_null=True)
    created_at = serializers.DateTimeField(read_only=True)
    started_at = serializers.DateTimeField(read_only=True, allow_null=True)
    finished_at = serializers.DateTimeField(read_only=True, allow_null=True)
    duration_s = serializers.FloatField(read_only=True, allow_null=True)
    progress = ProgressSerializer(source="*", read_only=True)
    error = serializers.SerializerMethodField()

    @extend_schema_field(JobErrorSerializer(allow_null=True))
    def get_error(self, job: Job) -> dict[str, Any] | None:
        return dict(JobErrorSerializer(job).data) if job.error_code else None


class RoleOfActions:
    """What a view's actions ask for. Reading needs `viewer`, everything else `admin` unless `roles` says otherwise.

    `starts_job` names the actions that start a job: an `Idempotency-Key` is honoured there.
    """

    roles: ClassVar[dict[str, Role]] = {}
    include_roles: ClassVar[dict[str, Role]] = {}  # what `?include=<name>` asks for beside that
    starts_job: ClassVar[frozenset[str]] = frozenset()
    role: Role = Role.NONE  # of who asks, once that is known
