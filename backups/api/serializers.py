"""How backups, restores and verifications are shown, and what their requests hold."""

from typing import Any, ClassVar, cast

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from backups.api.anomalies import AnomalySerializer
from backups.api.common import destination_of
from backups.models import Backup, Copy, Destination, Verification
from backups.pipeline.keys import valid_identity
from databases.models import Compression, Encryption
from jobs.api import JobSerializer, StrictSerializer

MAX_NAMES = 1000
MAX_LINK_S = 7 * 24 * 3600  # what S3 allows for a presigned link


def names() -> serializers.ListField:
    """Tables, collections or prefixes, in the engine's own words."""
    return serializers.ListField(child=serializers.CharField(max_length=500), max_length=MAX_NAMES, required=False)


class CopySerializer(serializers.ModelSerializer[Copy]):
    destination = serializers.CharField(source="destination_id")
    status = serializers.ChoiceField(source="state", choices=Copy.State.choices)
    size = serializers.IntegerField(source="backup.size", allow_null=True, help_text="Stored bytes.")
    readback = serializers.CharField(
        help_text="How it was compared after the write: `full` or `checksum`; empty while it is being written."
    )

    class Meta:
        model = Copy
        fields: ClassVar[tuple[str, ...]] = (
            *("id", "destination", "status", "key", "size", "readback", "verified_at"),
            *("locked", "retain_until", "error"),
        )
        read_only_fields = fields


class BackupSerializer(JobSerializer):
    database_id = serializers.CharField(read_only=True)
    database_name = serializers.CharField(read_only=True)
    engine = serializers.CharField(read_only=True)
    type = serializers.ChoiceField(choices=Backup.Type.choices, read_only=True)
    trigger = serializers.ChoiceField(choices=Backup.Trigger.choices, read_only=True)
    label = serializers.CharField(read_only=True)  # type: ignore[assignment]  # hides Field.label
    locked = serializers.BooleanField(read_only=True)
    include = serializers.ListField(child=serializers.CharField(), read_only=True)
    exclude = serializers.ListField(child=serializers.CharField(), read_only=True)
    collection = serializers.CharField(read_only=True, help_text="Of a service, when the backup is of one only.")
    parent_id = serializers.CharField(
        read_only=True, allow_null=True, help_text="What an incremental builds on; null for every other backup."
    )
    size = serializers.IntegerField(read_only=True, allow_null=True, help_text="Stored bytes.")
    original_size = serializers.IntegerField(read_only=True, allow_null=True)
    file_count = serializers.IntegerField(read_only=True, allow_null=True)
    md5 = serializers.CharField(read_only=True, help_text="Of the stored bytes; empty before there are any.")
    sha256 = serializers.CharField(read_only=True, help_text="Of the stored bytes; empty before there are any.")
    compression = serializers.ChoiceField(choices=Compression.choices, read_only=True)
    encryption = serializers.ChoiceField(choices=Encryption.choices, read_only=True)
    path = serializers.SerializerMethodField(help_text="Key of its first copy.")
    anomaly = serializers.SerializerMethodField(help_text="null for one that is like those before it.")
    copies = CopySerializer(many=True, read_only=True)
    expires_at = serializers.DateTimeField(read_only=True, allow_null=True)
    server_version = serializers.CharField(read_only=True)
    tool_version = serializers.CharField(read_only=True)
    verified_at = serializers.DateTimeField(read_only=True, allow_null=True)
    proven_at = serializers.DateTimeField(read_only=True, allow_null=True)

    @extend_schema_field(AnomalySerializer(allow_null=True))
    def get_anomaly(self, backup: Backup) -> dict[str, Any] | None:
        mark = getattr(backup, "anomaly", None)
        return dict(AnomalySerializer(mark).data) if mark is not None else None

    @extend_schema_field({"type": "string", "nullable": True})
    def get_path(self, backup: Backup) -> str | None:
        copies = [copy for copy in backup.copies.all() if copy.state != Copy.State.WRITING]
        return min(copies, key=lambda copy: copy.pk).key if copies else None


class BackupPageSerializer(BackupSerializer):
    """One backup by itself, with its records where they are asked for (`?include=data`)."""

    data = serializers.SerializerMethodField(  # type: ignore[assignment]  # hides Serializer.data of a nested one
        help_text="The records of a small backup of a service; null unless they are asked for."
    )

    @extend_schema_field({"type": "array", "items": {}, "nullable": True})
    def get_data(self, backup: Backup) -> list[Any] | None:
        return cast(dict[str, Any], self.context).get("records")


class NewBackupSerializer(BackupSerializer):
    backup_id = serializers.CharField(source="id", read_only=True)


class BackupRequestSerializer(StrictSerializer):
    """Names its Database by `database_id`, or a service by `service_name`: an id or a name."""

    database_id = serializers.CharField(max_length=63, required=False)
    service_name = serializers.CharField(max_length=200, required=False)
    collection = serializers.CharField(
        max_length=200, allow_blank=True, required=False, help_text="Of the service; left out: all it hands out."
    )
    type = serializers.ChoiceField(choices=Backup.Type.choices, default=Backup.Type.FULL)
    include = names()
    exclude = names()
    label = serializers.CharField(  # type: ignore[assignment]  # hides Field.label
        max_length=200, allow_blank=True, required=False
    )
    scheduled_at = serializers.DateTimeField(allow_null=True, required=False)

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        if "service_name" not in given and "database_id" not in given:
            raise serializers.ValidationError({"database_id": ["Give this, or the service_name of a service."]})
        if "service_name" in given and "database_id" in given:
            raise serializers.ValidationError({"service_name": ["Give this or database_id, not both."]})
        if "collection" in given and "service_name" not in given:
            raise serializers.ValidationError(
                {"collection": ["A collection goes with the service_name of its service."]}
            )
        return given


class BackupChangeSerializer(StrictSerializer):
    label = serializers.CharField(  # type: ignore[assignment]  # hides Field.label
        max_length=200, allow_blank=True, required=False
    )
    locked = serializers.BooleanField(required=False, help_text="A locked backup is deleted by nobody.")


class AtDestinationSerializer(StrictSerializer):
    destination = serializers.CharField(
        max_length=63, required=False, help_text="Read the copy there; left out: the nearest good one, or every one."
    )

    def validate_destination(self, pk: str) -> Destination:
        return destination_of(pk, field="destination")


class IdentitySerializer(StrictSerializer):
    """An age secret key, for servers that hold none. Kept encrypted, and erased when the job ends."""

    identity = serializers.CharField(max_length=200, allow_blank=True, required=False, write_only=True)

    def validate_identity(self, identity: str) -> str:
        if identity and not valid_identity(identity):
            raise serializers.ValidationError("This is not an age secret key (AGE-SECRET-KEY-1...).")
        return identity


class VerificationRequestSerializer(AtDestinationSerializer, IdentitySerializer):
    pass


class RestoreRequestSerializer(AtDestinationSerializer, IdentitySerializer):
    target_database_id = serializers.CharField(max_length=63)
    drop_existing = serializers.BooleanField(default=False, help_text="Empty the target first.")
    delete_extra = serializers.BooleanField(
        default=False, help_text="Delete what the target holds and the backup does not; not every engine can."
    )
    include = names()
    confirm = serializers.CharField(max_length=63, help_text="The target's id once more.")


class LinkRequestSerializer(AtDestinationSerializer):
    expires_in = serializers.IntegerField(min_value=1, max_value=MAX_LINK_S, default=3600, help_text="Seconds.")
    decrypt = serializers.BooleanField(default=False, help_text="Take the age layer off; the compression stays.")


class LinkSerializer(serializers.Serializer[Any]):
    url = serializers.URLField()
    expires_at = serializers.DateTimeField()


class RunSerializer(JobSerializer):
    backup_id = serializers.CharField(source="backup_label", read_only=True)


@extend_schema_field({"type": "object", "additionalProperties": True})
class ReportField(serializers.JSONField):
    pass


class RestoreSerializer(RunSerializer):
    target_database_id = serializers.CharField(source="target_id", read_only=True)
    target_database_name = serializers.CharField(source="target_name", read_only=True)
    destination = serializers.CharField(
        source="destination_id", read_only=True, allow_null=True, help_text="Of the copy; null: the nearest good one."
    )
    drop_existing = serializers.BooleanField(read_only=True)
    delete_extra = serializers.BooleanField(read_only=True)
    include = serializers.ListField(child=serializers.CharField(), read_only=True)
    report = ReportField(read_only=True, help_text="Empty until it ended.")


class VerificationSerializer(RunSerializer):
    trigger = serializers.ChoiceField(choices=Verification.Trigger.choices, read_only=True)
    destination = serializers.CharField(
        source="destination_id", read_only=True, allow_null=True, help_text="Of the copy; null: every copy."
    )
    report = ReportField(read_only=True, help_text="What was found at each destination; empty until it ended.")
