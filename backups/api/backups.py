"""Backups over HTTP: ask for one, watch it, and use it."""

from typing import Any

from django.http import Http404
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, PolymorphicProxySerializer, extend_schema
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from backups.api import serializers
from backups.api.anomalies import AnomalyOfBackup
from backups.api.approvals import ApprovalSerializer, waiting
from backups.api.common import DETAIL_ACTION, accepted, cancelled, database_of, invalid, user_of
from backups.api.copies import AT, CopiesOfBackup, asked_destination
from backups.api.download import download, make_link
from backups.api.drill_serializers import DrillBackupRequestSerializer, DrillSerializer
from backups.api.filters import BackupFilters
from backups.api.log import HasLog
from backups.api.streaming import Bytes
from backups.models import Backup, Drill
from backups.selectors import backups_with_copies, newest_backup
from backups.services.ask_approval import ask_to_delete_backup, ask_to_restore
from backups.services.mark import mark_backup
from backups.services.prune import delete_backup
from backups.services.read_data import read_data
from backups.services.request import request_backup
from backups.services.request_drill import request_drill
from backups.services.request_records import request_records
from backups.services.restore import request_restore
from backups.services.verify import request_verification
from databases.services.consent import needs_second_person
from jobs.api import RoleOfActions
from jobs.models import Status
from jobs.roles import Role

INCLUDE = OpenApiParameter(
    "include", enum=["data"], description="`data`: the records of a small backup of a service; for operators."
)
LAST_OF = [
    OpenApiParameter("status", enum=Status.values, description="The newest one in this state."),
    OpenApiParameter("collection", description="The newest one of this collection of a service."),
]

DELETION = PolymorphicProxySerializer(
    component_name="Deletion",
    serializers=[serializers.BackupSerializer, ApprovalSerializer],
    resource_type_field_name=None,
)
RESTORING = PolymorphicProxySerializer(
    component_name="Restoring",
    serializers=[serializers.RestoreSerializer, ApprovalSerializer],
    resource_type_field_name=None,
)


class BackupViewSet(
    RoleOfActions, HasLog, mixins.ListModelMixin, mixins.RetrieveModelMixin, CopiesOfBackup, AnomalyOfBackup
):
    """Backups: runs that produced, or failed to produce, one artefact."""

    queryset = backups_with_copies()
    serializer_class = serializers.BackupSerializer
    lookup_value_regex = "[^/\\x00]+"
    filterset_class = BackupFilters
    search_fields = ("id", "database__id", "database_name", "label")
    ordering_fields = ("created_at", "started_at", "finished_at", "size", "original_size", "status", "database_name")
    ordering = ("-created_at",)
    runs = ("create", "cancel", "verify", "restore", "drill", "copies")
    roles = dict.fromkeys((*runs, "change_copy", "delete_copy", "download", "download_link", "anomaly"), Role.OPERATOR)
    starts_job = frozenset({"create", "verify", "restore", "drill", "copies"})

    include_roles = {"data": Role.OPERATOR}

    def get_object(self) -> Backup:
        self.subject = super().get_object()
        return self.subject

    def _body(self, serializer_class: type[Any]) -> dict[str, Any]:
        serializer = serializer_class(data=self.request.data)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    @extend_schema(request=serializers.BackupRequestSerializer, responses={202: serializers.NewBackupSerializer})
    def create(self, request: Request) -> Response:
        """Asks for a backup. While one of the Database runs, the next waits its turn."""
        body = self._body(serializers.BackupRequestSerializer)
        asked = {**body, "trigger": Backup.Trigger.API, "user": user_of(request)}
        if "service_name" in body:
            backup = request_records(**asked)
        else:
            backup = request_backup(database=database_of(asked.pop("database_id"), field="database_id"), **asked)
        return accepted(serializers.NewBackupSerializer(backup), "api:backup-detail", backup)

    @extend_schema(parameters=[INCLUDE], responses=serializers.BackupPageSerializer)
    def retrieve(self, request: Request, pk: str) -> Response:
        """A backup: its state, its size, its digests, where its copies are."""
        return self._page(self.get_object())

    def _page(self, backup: Backup) -> Response:
        include = self.request.query_params.get("include", "")
        if include not in ("", "data"):
            raise invalid("include", "Give data, or leave it out.")
        self.subject = backup
        records = read_data(backup=backup) if include else None
        context = {**self.get_serializer_context(), "records": records}
        return Response(
            serializers.BackupPageSerializer(backup, context=context).data,
            headers={"Cache-Control": "no-store"} if include else None,
        )

    @extend_schema(request=serializers.BackupChangeSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Labels a backup, locks or unlocks it."""
        body = self._body(serializers.BackupChangeSerializer)
        return Response(self.get_serializer(mark_backup(backup=self.get_object(), **body)).data)

    @extend_schema(responses={204: None, 202: DELETION})
    def destroy(self, request: Request, pk: str) -> Response:
        """Deletes the objects, then the row: 204, or 202 while a destination does not answer or a second person has
        to agree."""
        backup = self.get_object()
        if needs_second_person() and backup.status != Status.DELETING:
            return waiting(ask_to_delete_backup(backup=backup, user=user_of(request)))
        if delete_backup(backup=backup):
            return Response(status=204)
        return Response(self.get_serializer(self.get_queryset().get(pk=pk)).data, status=202)

    @extend_schema(parameters=[*LAST_OF, INCLUDE], responses=serializers.BackupPageSerializer)
    @action(**DETAIL_ACTION)
    def last(self, request: Request, pk: str) -> Response:
        """The newest backup of a Database, which is named by its id or its name."""
        status = request.query_params.get("status", "")
        if status and status not in Status.values:
            raise invalid("status", f"Give one of {', '.join(Status.values)}.")
        collection = request.query_params.get("collection", "")
        if "\0" in collection:  # PostgreSQL refuses to look for it
            raise invalid("collection", "No collection's name holds a NUL.")
        try:
            return self._page(newest_backup(pk, status=status, collection=collection))
        except Backup.DoesNotExist as error:
            raise Http404 from error

    @extend_schema(request=None, responses={202: serializers.BackupSerializer})
    @action(methods=["post"], **DETAIL_ACTION)
    def cancel(self, request: Request, pk: str) -> Response:
        """At once while it waits; a running one stops within seconds."""
        return cancelled(self)

    @extend_schema(
        request=serializers.VerificationRequestSerializer, responses={202: serializers.VerificationSerializer}
    )
    @action(methods=["post"], **DETAIL_ACTION)
    def verify(self, request: Request, pk: str) -> Response:
        """Reads every copy again, or that at one destination: sizes, digests, structure."""
        body = self._body(serializers.VerificationRequestSerializer)
        run = request_verification(backup=self.get_object(), user=user_of(request), **body)
        return accepted(serializers.VerificationSerializer(run), "api:verification-detail", run)

    @extend_schema(request=serializers.RestoreRequestSerializer, responses={202: RESTORING})
    @action(methods=["post"], **DETAIL_ACTION)
    def restore(self, request: Request, pk: str) -> Response:
        """Puts the backup back into a target Database; `confirm` repeats the target's id. What would be lost there may
        need a second person: the answer is then what waits for one."""
        body = self._body(serializers.RestoreRequestSerializer)
        target = database_of(body.pop("target_database_id"), field="target_database_id")
        asked = {**body, "backup": self.get_object(), "target": target, "user": user_of(request)}
        if needs_second_person() and (body["drop_existing"] or body["delete_extra"]):
            return waiting(ask_to_restore(**asked))
        run = request_restore(**asked)
        return accepted(serializers.RestoreSerializer(run), "api:restore-detail", run)

    @extend_schema(request=DrillBackupRequestSerializer, responses={202: DrillSerializer})
    @action(methods=["post"], **DETAIL_ACTION)
    def drill(self, request: Request, pk: str) -> Response:
        """Restores the backup into a scratch target and compares; the Database's plan says what the body does not."""
        body = self._body(DrillBackupRequestSerializer)
        run = request_drill(backup=self.get_object(), trigger=Drill.Trigger.API, user=user_of(request), **body)
        return accepted(DrillSerializer(run), "api:drill-detail", run)

    @extend_schema(request=serializers.LinkRequestSerializer, responses={200: serializers.LinkSerializer})
    @action(methods=["post"], url_path="download-link", **DETAIL_ACTION)
    def download_link(self, request: Request, pk: str) -> Response:
        """A link that needs no other credentials, until it expires or the backup is deleted."""
        body = self._body(serializers.LinkRequestSerializer)
        link = make_link(backup=self.get_object(), request=request, **body)
        return Response(serializers.LinkSerializer(link).data, headers={"Cache-Control": "no-store"})

    @extend_schema(parameters=[AT], responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    @action(renderer_classes=[Bytes], **DETAIL_ACTION)
    def download(self, request: Request, pk: str) -> HttpResponseBase:
        """The artefact as it is stored. Takes one `Range`, `If-Range` and `HEAD`."""
        backup = self.get_object()
        return download(backup=backup, request=request, destination=asked_destination(request))

    @extend_schema(responses=OpenApiTypes.OBJECT)
    @action(**DETAIL_ACTION)
    def manifest(self, request: Request, pk: str) -> Response:
        """The sidecar manifest, as docs/artefact.md specifies it; empty before the backup is completed."""
        return Response(self.get_object().manifest)
