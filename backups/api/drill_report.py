"""The shape of a drill's report, for the schema alone: its bytes are answered as they were signed."""

from typing import Any

from rest_framework import serializers

from backups.models import Backup, Drill
from backups.services.assertions import OPERATORS

Shape = serializers.Serializer[Any]


def numbers(help_text: str) -> serializers.DictField:
    return serializers.DictField(child=serializers.FloatField(), help_text=help_text)


class ReportedDrillSerializer(Shape):
    id = serializers.CharField()
    trigger = serializers.ChoiceField(choices=Drill.Trigger.choices)
    attempt = serializers.IntegerField()
    started_at = serializers.DateTimeField()
    reported_at = serializers.DateTimeField()
    worker = serializers.CharField()


class ReportedErrorSerializer(Shape):
    code = serializers.CharField()
    message = serializers.CharField()
    hint = serializers.CharField()


class ReportedDatabaseSerializer(Shape):
    id = serializers.CharField(allow_null=True)
    name = serializers.CharField()
    engine = serializers.CharField()


class ReportedBackupSerializer(Shape):
    id = serializers.CharField()
    type = serializers.ChoiceField(choices=Backup.Type.choices)
    label = serializers.CharField()  # type: ignore[assignment]  # the metaclass takes fields away
    started_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    age_s = serializers.FloatField(help_text="The recovery point that a loss at the drill's begin would have had.")
    sha256 = serializers.CharField()


class ReportedCopySerializer(Shape):
    destination = serializers.CharField()
    key = serializers.CharField()


class ReportedBytesSerializer(Shape):
    stored = serializers.IntegerField()
    plain = serializers.IntegerField()


class ReportedVersionsSerializer(Shape):
    backup_server = serializers.CharField()
    backup_tool = serializers.CharField()
    scratch_server = serializers.CharField()
    restore_tool = serializers.CharField()


class ReportedScratchSerializer(Shape):
    name = serializers.CharField()
    server = serializers.CharField(allow_null=True)


class DifferenceSerializer(Shape):
    kind = serializers.CharField()
    name = serializers.CharField()
    expected = serializers.JSONField(allow_null=True, help_text="Null: it should not be there.")
    found = serializers.JSONField(allow_null=True, help_text="Null: it is not there.")


class ComparisonSerializer(Shape):
    checked = numbers("How many things were compared, by kind.")
    differences = DifferenceSerializer(many=True, help_text="The first 100.")
    difference_count = serializers.IntegerField()
    first_difference = DifferenceSerializer(allow_null=True)
    notes = serializers.ListField(child=serializers.CharField(), help_text="What could not be compared, and why.")


class AnsweredSerializer(Shape):
    name = serializers.CharField()
    query = serializers.JSONField(help_text="In the engine's own words.")
    operator = serializers.ChoiceField(choices=list(OPERATORS))
    value = serializers.JSONField(help_text="A number, true or false.")
    found = serializers.JSONField(allow_null=True)
    ok = serializers.BooleanField()
    error = serializers.CharField(help_text="Why it could not be answered; empty when it was.")


class DrillReportSerializer(Shape):
    """docs/drills.md says what each means."""

    schema_version = serializers.IntegerField()
    site = serializers.CharField()
    signed_by = serializers.CharField(help_text="First 16 hex digits of the SHA-256 of the public key in DER.")
    drill = ReportedDrillSerializer()
    verdict = serializers.ChoiceField(choices=["proven", "not_proven", "failed"])
    fault = serializers.CharField(help_text="The first thing that is not as it should be; empty when all agrees.")
    error = ReportedErrorSerializer(allow_null=True)
    database = ReportedDatabaseSerializer()
    backup = ReportedBackupSerializer()
    chain = serializers.ListField(child=serializers.CharField(), help_text="Backups that were read, oldest first.")
    read_from = ReportedCopySerializer(many=True)
    seconds = numbers("Of each phase, in their order.")
    recovery_time_s = serializers.FloatField(help_text="Until the restore had ended.")
    total_s = serializers.FloatField()
    bytes = ReportedBytesSerializer()
    versions = ReportedVersionsSerializer()
    scratch = ReportedScratchSerializer()
    restored = serializers.DictField(child=serializers.IntegerField(allow_null=True), allow_null=True)
    comparison = ComparisonSerializer(allow_null=True)
    assertions = AnsweredSerializer(many=True)
    notes = serializers.ListField(child=serializers.CharField())
    log = serializers.ListField(child=serializers.CharField(), help_text="The last 50 lines.")
