"""How packages and their policy are shown, and what their requests hold."""

from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from backups.api.serializers import MAX_LINK_S
from databases.api_fields import MAX_KEEP, ScheduleField
from databases.schedule import next_runs
from jobs.api import JobSerializer, StrictSerializer
from packages.models import Compression, OnMissing, Package, PackageCopy, PackageMember, PackagePolicy

MAX_DATABASES = 10_000


class PackageCopySerializer(serializers.ModelSerializer[PackageCopy]):
    destination = serializers.CharField(source="destination_id")
    status = serializers.ChoiceField(source="state", choices=PackageCopy.State.choices)

    class Meta:
        model = PackageCopy
        fields: ClassVar[tuple[str, ...]] = ("destination", "status")
        read_only_fields = fields


class PackageSerializer(JobSerializer):
    trigger = serializers.ChoiceField(choices=Package.Trigger.choices, read_only=True)
    databases = serializers.ListField(
        child=serializers.CharField(), read_only=True, help_text="Ids asked for; empty: all with `package` on."
    )
    compression = serializers.ChoiceField(choices=Compression.choices, read_only=True)
    on_missing = serializers.ChoiceField(choices=OnMissing.choices, read_only=True)
    size = serializers.IntegerField(read_only=True, allow_null=True, help_text="Stored bytes.")
    md5 = serializers.CharField(read_only=True, help_text="Of the stored bytes; empty before there are any.")
    sha256 = serializers.CharField(read_only=True, help_text="Of the stored bytes; empty before there are any.")
    path = serializers.SerializerMethodField(help_text="Key at the destination.")
    copies = PackageCopySerializer(many=True, read_only=True)
    expires_at = serializers.DateTimeField(
        read_only=True, allow_null=True, help_text="When retention took it; null while it is kept."
    )

    @extend_schema_field({"type": "string", "nullable": True})
    def get_path(self, package: Package) -> str | None:
        keys = [copy.key for copy in package.copies.all() if copy.state != PackageCopy.State.WRITING]
        return keys[0] if keys else None


class PackageMemberSerializer(serializers.ModelSerializer[PackageMember]):
    """One artefact of a package, or a Database that has none in it: `missing` says why, and is empty otherwise."""

    backup_id = serializers.CharField(source="backup_label", help_text="Empty where there was no backup.")

    class Meta:
        model = PackageMember
        fields: ClassVar[tuple[str, ...]] = (
            "database_id",
            "database_name",
            "backup_id",
            "is_parent",
            "name",
            "size",
            "sha256",
            "missing",
        )
        read_only_fields = fields


class PackagePageSerializer(PackageSerializer):
    """One package by itself, with its members."""

    members = PackageMemberSerializer(many=True, read_only=True)


class PackageRequestSerializer(StrictSerializer):
    databases = serializers.ListField(
        child=serializers.CharField(max_length=63),
        max_length=MAX_DATABASES,
        required=False,
        help_text="Ids; left out or empty: every Database with `package` on.",
    )
    compression = serializers.ChoiceField(choices=Compression.choices, required=False)
    on_missing = serializers.ChoiceField(
        choices=OnMissing.choices,
        required=False,
        help_text="What to do about a Database without a backup that can be read.",
    )


class PackageLinkRequestSerializer(StrictSerializer):
    expires_in = serializers.IntegerField(min_value=1, max_value=MAX_LINK_S, default=3600, help_text="Seconds.")


class PackagePolicySerializer(StrictSerializer):
    """When packages are made, and how long they are kept. For the numbers 0 is off; the newest always stays."""

    schedule = ScheduleField(allow_null=True, required=False)
    timezone = serializers.CharField(max_length=63, required=False)
    next_runs = serializers.SerializerMethodField()
    compression = serializers.ChoiceField(choices=Compression.choices, required=False)
    on_missing = serializers.ChoiceField(choices=OnMissing.choices, required=False)
    retention_days = serializers.IntegerField(min_value=0, max_value=MAX_KEEP, required=False)
    max_packages = serializers.IntegerField(min_value=0, max_value=MAX_KEEP, required=False)
    destination = serializers.CharField(
        source="destination_id", max_length=63, allow_null=True, required=False, help_text="Null: the default one."
    )
    managed = serializers.BooleanField(read_only=True, help_text="Comes from the configuration file.")
    updated_at = serializers.DateTimeField(read_only=True, allow_null=True)

    @extend_schema_field({"type": "array", "items": {"type": "string", "format": "date-time"}})
    def get_next_runs(self, policy: PackagePolicy) -> list[Any]:
        field = serializers.DateTimeField()
        due = next_runs(policy.schedule, policy.timezone, after=timezone.now())
        return [field.to_representation(at) for at in due]
