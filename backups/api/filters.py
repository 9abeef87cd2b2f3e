"""The filters that lists of backups and runs take."""

from datetime import UTC, datetime
from typing import Any, ClassVar

import django_filters
from django.core.exceptions import ValidationError
from django_filters.fields import IsoDateTimeField

from backups.models import Anomaly, Backup, CopyJob, Restore, Verification
from jobs.models import Status


class UtcField(IsoDateTimeField):
    """A time whose UTC equivalent exists: the year 1 in an eastern zone does not."""

    def clean(self, value: Any) -> Any:
        found = super().clean(value)
        if isinstance(found, datetime):
            try:
                return found.astimezone(UTC)
            except OverflowError as error:
                raise ValidationError("This time is out of range.", code="invalid") from error
        return found


class UtcFilter(django_filters.IsoDateTimeFilter):
    field_class = UtcField


class AnyOf(django_filters.MultipleChoiceFilter):
    """One of several values. Rows cannot come twice, so the slow DISTINCT of the library is left out."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(distinct=False, **kwargs)


class RunFilters(django_filters.FilterSet):
    status = AnyOf(choices=Status.choices, help_text="May be given several times.")
    created_after = UtcFilter(field_name="created_at", lookup_expr="gte")
    created_before = UtcFilter(field_name="created_at", lookup_expr="lt")


class BackupFilters(RunFilters):
    database = django_filters.CharFilter(field_name="database_id")
    type = AnyOf(choices=Backup.Type.choices)
    trigger = AnyOf(choices=Backup.Trigger.choices)
    collection = django_filters.CharFilter()
    anomaly = AnyOf(field_name="anomaly__state", choices=Anomaly.State.choices, help_text="Unlike those before it.")
    parent = django_filters.CharFilter(field_name="parent_id", help_text="What builds on this backup.")

    class Meta:
        model = Backup
        fields: ClassVar[list[str]] = []


class RestoreFilters(RunFilters):
    backup = django_filters.CharFilter(field_name="backup_label")
    target = django_filters.CharFilter(field_name="target_id")

    class Meta:
        model = Restore
        fields: ClassVar[list[str]] = []


class CopyJobFilters(RunFilters):
    backup = django_filters.CharFilter(field_name="backup_label")
    destination = django_filters.CharFilter(field_name="destination_label")
    trigger = AnyOf(choices=CopyJob.Trigger.choices)

    class Meta:
        model = CopyJob
        fields: ClassVar[list[str]] = []


class VerificationFilters(RunFilters):
    backup = django_filters.CharFilter(field_name="backup_label")

    class Meta:
        model = Verification
        fields: ClassVar[list[str]] = []
