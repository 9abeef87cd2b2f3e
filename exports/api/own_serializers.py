"""How end users see their exports, and what they send. Names are in camelCase, as the contract has them."""
# ruff: noqa: N815

import json
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from exports.models import Export
from exports.selectors import status_of
from exports.services.links import token_of
from jobs.api import StrictSerializer
from jobs.models import Status

MAX_DEPTH = 5
STATUSES = [status for status in Status.values if status != Status.DELETING]
ENDED_WELL = (Status.COMPLETED, Status.EXPIRED)
# What a user can do something about. Other messages speak of the operator's hosts and folders.
TOLD = frozenset({"no_destination", "no_relay", "no_sources", "too_large"})
NOT_TOLD = "Something that is needed to make it did not do its part. The operator can see what it was."


@extend_schema_field({"type": "object", "additionalProperties": True})
class MetadataField(serializers.JSONField):
    """The user's own words, kept and given back. `select` and `recipient` in it mean something."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            raise serializers.ValidationError("A JSON object is wanted.")
        most = settings.BACKUPSITE_EXPORT_METADATA_BYTES
        if len(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()) > most:
            raise serializers.ValidationError(f"It holds more than {most} bytes.", code="too_large")
        if not _is_flat(data, MAX_DEPTH):
            raise serializers.ValidationError(f"Objects and lists lie more than {MAX_DEPTH} deep.", code="too_deep")
        return data


def _is_flat(value: Any, deep: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return inner is None or (deep > 0 and all(_is_flat(item, deep - 1) for item in inner))


class ExportRequestSerializer(StrictSerializer):
    backupType = serializers.ChoiceField(
        source="type", choices=Export.Type.choices, help_text="`incremental`: since the last completed one."
    )
    scheduledAt = serializers.DateTimeField(
        source="scheduled_at", allow_null=True, required=False, help_text="At most 30 days ahead."
    )
    metadata = MetadataField(
        allow_null=True,
        required=False,
        help_text="Yours: at most 8 KiB, 5 deep. `select` names the collections of a selective export, "
        "`recipient` the age or SSH public key, or keys, that it is encrypted to.",
    )


class _OwnSerializer(serializers.Serializer[Export]):
    id = serializers.CharField(read_only=True)
    status = serializers.SerializerMethodField()
    backupType = serializers.ChoiceField(source="type", choices=Export.Type.choices, read_only=True)

    @extend_schema_field({"type": "string", "enum": STATUSES})
    def get_status(self, export: Export) -> str:
        return status_of(export)


class NewExportSerializer(_OwnSerializer):
    requestedAt = serializers.DateTimeField(source="created_at", read_only=True)
    scheduledAt = serializers.DateTimeField(source="scheduled_at", read_only=True, allow_null=True)
    metadata = MetadataField(read_only=True)


class ExportErrorSerializer(serializers.Serializer[Export]):
    code = serializers.CharField()
    message = serializers.CharField()


class LinkedSerializer(_OwnSerializer):
    resultUrl = serializers.SerializerMethodField(help_text="Where it can be fetched, without signing; else null.")

    @extend_schema_field({"type": "string", "format": "uri", "nullable": True})
    def get_resultUrl(self, export: Export) -> str | None:  # noqa: N802
        token = token_of(export=export)
        return result_url(token) if token else None


class ListedExportSerializer(LinkedSerializer):
    requestedAt = serializers.DateTimeField(source="created_at", read_only=True)
    completedAt = serializers.SerializerMethodField()

    @extend_schema_field({"type": "string", "format": "date-time", "nullable": True})
    def get_completedAt(self, export: Export) -> Any:  # noqa: N802
        return _completed(export)


class ExportListSerializer(serializers.Serializer[Any]):
    jobs = ListedExportSerializer(many=True)
    total = serializers.IntegerField(help_text="Of all your exports, not only of those listed.")


class OwnExportSerializer(LinkedSerializer):
    requested = serializers.DateTimeField(source="created_at", read_only=True)
    started = serializers.DateTimeField(source="started_at", read_only=True, allow_null=True)
    completed = serializers.SerializerMethodField()
    scheduledAt = serializers.DateTimeField(source="scheduled_at", read_only=True, allow_null=True)
    expires = serializers.DateTimeField(source="expires_at", read_only=True, allow_null=True)
    error = serializers.SerializerMethodField(help_text="Why it failed; else null.")
    metadata = serializers.SerializerMethodField(
        help_text="As given, with `originalSize`, `compressedSize` (bytes) and `fileCount`: null until it is completed."
    )

    @extend_schema_field({"type": "string", "format": "date-time", "nullable": True})
    def get_completed(self, export: Export) -> Any:
        return _completed(export)

    @extend_schema_field(ExportErrorSerializer(allow_null=True))
    def get_error(self, export: Export) -> dict[str, str] | None:
        if export.status != Status.FAILED:
            return None
        message = export.error_message if export.error_code in TOLD else NOT_TOLD
        return {"code": export.error_code, "message": message}

    @extend_schema_field(
        {
            "type": "object",
            "additionalProperties": True,
            "properties": {
                name: {"type": "integer", "nullable": True} for name in ("originalSize", "compressedSize", "fileCount")
            },
            "required": ["originalSize", "compressedSize", "fileCount"],
        }
    )
    def get_metadata(self, export: Export) -> Mapping[str, Any]:
        sizes = {"originalSize": export.original_size, "compressedSize": export.size, "fileCount": export.file_count}
        return {**export.metadata, **sizes}


class RenewedLinkSerializer(serializers.Serializer[Any]):
    resultUrl = serializers.URLField(help_text="The new one.")
    expires = serializers.DateTimeField()


def result_url(token: str) -> str:
    """Under the first configured address: one whose requests are signed is configured."""
    return f"{settings.BACKUPSITE_EXPORT_ORIGINS[0]}{reverse('api:export-fetch', args=[token])}"


def _completed(export: Export) -> Any:
    if export.status not in ENDED_WELL or export.finished_at is None:
        return None
    return serializers.DateTimeField().to_representation(export.finished_at)
