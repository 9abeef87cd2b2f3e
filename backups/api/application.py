"""The routes of a single-application deployment: back up its database, its images or both, and see what there is."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from backups.api.common import invalid, user_of
from backups.models import Backup
from backups.selectors import stored_artefacts
from backups.services.request_all import request_backups, wait_for_end
from databases.engines import registry
from databases.selectors import site_policy
from jobs.api import RoleOfActions, StrictSerializer
from jobs.models import OPEN, Status
from jobs.roles import Role

LONGEST_WAIT_S = 60
SHOWN = 1000  # artefacts in the answer of `status`, the newest
TYPES = {"s3": "images", "http": "records"}  # what the artefacts of an engine are called here
WAIT = OpenApiParameter(
    "wait",
    int,
    description=(
        f"Seconds to wait for the end, at most {LONGEST_WAIT_S}. "
        "None with an Idempotency-Key, nor while several others wait already."
    ),
)


class TriggeredSerializer(serializers.Serializer[Any]):
    """`success` and `duration` (seconds) are null while the backups run."""

    success = serializers.BooleanField(allow_null=True)
    message = serializers.CharField()
    duration = serializers.FloatField(allow_null=True)
    timestamp = serializers.DateTimeField()
    backups = serializers.ListField(child=serializers.CharField(), help_text="Ids.")


class NothingSerializer(StrictSerializer):
    """These routes take no field: a body that means something else must not start everything."""


class StoredSerializer(serializers.Serializer[Any]):
    key = serializers.CharField()
    size = serializers.IntegerField()
    lastModified = serializers.DateTimeField()  # noqa: N815  # the contract's name
    type = serializers.CharField(help_text="`database`, `images` or `records`.")


class StatusSerializer(serializers.Serializer[Any]):
    success = serializers.BooleanField()
    totalBackups = serializers.IntegerField()  # noqa: N815
    retentionDays = serializers.IntegerField(help_text="Of the site's policy; 0 is for ever.")  # noqa: N815
    backupGroups = serializers.DictField(  # noqa: N815
        child=StoredSerializer(many=True), help_text=f"By day (UTC), the newest {SHOWN} artefacts."
    )


class ApplicationViewSet(RoleOfActions, viewsets.GenericViewSet[Backup]):
    """Everything of a site at once, for a deployment that protects one application."""

    queryset = Backup.objects.none()
    serializer_class = TriggeredSerializer
    pagination_class = None
    filter_backends = ()
    roles = {**dict.fromkeys(("trigger", "database", "images"), Role.OPERATOR), "status": Role.VIEWER}
    starts_job = frozenset({"trigger", "database", "images"})

    @extend_schema(request=None, parameters=[WAIT], responses={200: TriggeredSerializer, 202: TriggeredSerializer})
    @action(detail=False, methods=["post"])
    def trigger(self, request: Request) -> Response:
        """Backs up every enabled Database."""
        return self._back_up(request, registry.kinds())

    @extend_schema(request=None, parameters=[WAIT], responses={200: TriggeredSerializer, 202: TriggeredSerializer})
    @action(detail=False, methods=["post"])
    def database(self, request: Request) -> Response:
        """Backs up every enabled PostgreSQL and MongoDB Database."""
        return self._back_up(request, ["postgres", "mongodb"])

    @extend_schema(request=None, parameters=[WAIT], responses={200: TriggeredSerializer, 202: TriggeredSerializer})
    @action(detail=False, methods=["post"])
    def images(self, request: Request) -> Response:
        """Backs up every enabled bucket."""
        return self._back_up(request, ["s3"])

    @extend_schema(responses=StatusSerializer)
    @action(detail=False)
    def status(self, request: Request) -> Response:
        """What is stored, by day."""
        stored = stored_artefacts()
        groups: dict[str, list[dict[str, Any]]] = {}
        for copy in stored[:SHOWN]:
            backup = copy.backup
            ended = backup.finished_at or backup.created_at
            shown = {
                "key": copy.key,
                "size": backup.size,
                "lastModified": ended,
                "type": TYPES.get(backup.engine, "database"),
            }
            groups.setdefault(f"{ended:%Y-%m-%d}", []).append(shown)
        body = {
            "success": True,
            "totalBackups": stored.count(),
            "retentionDays": site_policy().retention_days,
            "backupGroups": groups,
        }
        return Response(StatusSerializer(body).data)

    def _back_up(self, request: Request, engines: list[str]) -> Response:
        NothingSerializer(data=request.data).is_valid(raise_exception=True)
        seconds = _wait(request)
        began = timezone.now()
        # An answer that is remembered is written with its jobs in one transaction: they start after it.
        seconds = 0 if "Idempotency-Key" in request.headers else seconds
        backups = wait_for_end(request_backups(engines=engines, user=user_of(request)), seconds=seconds)
        ended = all(backup.status not in OPEN for backup in backups)
        good = all(backup.status == Status.COMPLETED for backup in backups)
        failed = [backup for backup in backups if backup.status not in (*OPEN, Status.COMPLETED)]
        body = {
            "success": good if ended else None,
            "message": _message(failed) if ended else "Backup started",
            "duration": round((timezone.now() - began).total_seconds(), 2) if ended else None,
            "timestamp": began,
            "backups": [backup.pk for backup in backups],
        }
        return Response(TriggeredSerializer(body).data, status=200 if ended else 202)


def _message(failed: list[Backup]) -> str:
    if not failed:
        return "Backup completed"
    told = [f"{backup.database_name}: {backup.error_message or backup.get_status_display()}" for backup in failed]
    return f"Backup failed: {'; '.join(told)}"


def _wait(request: Request) -> int:
    text = request.query_params.get("wait", "0")
    if not (text.isascii() and text.isdecimal()) or int(text) > LONGEST_WAIT_S:
        raise invalid("wait", f"Give whole seconds, at most {LONGEST_WAIT_S}.")
    return int(text)
