"""Copies over HTTP: made, locked and deleted at the backup they are of; their jobs watched and cancelled."""

from typing import Any

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers as rest
from rest_framework import viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from backups.api.common import DETAIL_ACTION, accepted, cancelled, destination_of, user_of
from backups.api.filters import CopyJobFilters
from backups.api.log import HasLog
from backups.api.serializers import CopySerializer, RunSerializer
from backups.models import Backup, Copy, CopyJob, Destination
from backups.protection import Protection, protections
from backups.services.change_copy import delete_copy, lock_copy
from backups.services.request_copy import request_copy
from jobs.api import RoleOfActions, StrictSerializer
from jobs.roles import Role

COPY_ID = OpenApiParameter("copy_id", int, OpenApiParameter.PATH, description="The copy, as the backup lists it.")
AT = OpenApiParameter("destination", description="Read the copy at this Destination; left out: the nearest good one.")


class CopyJobSerializer(RunSerializer):
    destination = rest.CharField(source="destination_label", read_only=True, help_text="Where the copy is made.")
    source_destination = rest.CharField(
        source="source_id", read_only=True, allow_null=True, help_text="Where it is read; null: the nearest good copy."
    )
    trigger = rest.ChoiceField(choices=CopyJob.Trigger.choices, read_only=True)


class CopyRequestSerializer(StrictSerializer):
    destination = rest.CharField(max_length=63, help_text="The Destination that is to have a copy.")
    source_destination = rest.CharField(max_length=63, required=False, help_text="Read the copy there.")


class CopyChangeSerializer(StrictSerializer):
    locked = rest.BooleanField(help_text="A locked copy outlives the days of its destination.")


class PlaceSerializer(rest.Serializer[Any]):
    """One named destination: how long copies stay there, and how many are still to come."""

    destination = rest.CharField(source="destination_id")
    retention_days = rest.IntegerField(allow_null=True)
    lacking = rest.IntegerField()
    lacking_since = rest.DateTimeField(allow_null=True)
    down = rest.CharField(source="destination.fault", help_text="Code of what is wrong with it; empty when in order.")


class ProtectionSerializer(rest.Serializer[Protection]):
    """How the newest completed backup stands against 3-2-1; the Database itself is the first of the three."""

    database_id = rest.CharField(source="database.pk")
    backup_id = rest.CharField(allow_null=True)
    copies = CopySerializer(many=True)
    media = rest.ListField(child=rest.CharField(), help_text="What fails together: the disk of a host, an S3 service.")
    off_site = rest.BooleanField()
    meets_3_2_1 = rest.BooleanField(source="meets")
    missing = rest.ListField(child=rest.CharField(), help_text="What 3-2-1 asks for and is not there.")
    placements = PlaceSerializer(many=True)


def asked_destination(request: Request) -> Destination | None:
    """What `?destination=` names."""
    pk = request.query_params.get("destination", "")
    return destination_of(pk, field="destination") if pk else None


class CopiesOfBackup(viewsets.GenericViewSet[Backup]):
    """The actions of a backup that concern its copies."""

    @extend_schema(request=CopyRequestSerializer, responses={202: CopyJobSerializer})
    @action(methods=["post"], **DETAIL_ACTION)
    def copies(self, request: Request, pk: str) -> Response:
        """Copies the backup to one more destination."""
        given = CopyRequestSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        body = given.validated_data
        place = body.get("source_destination")
        job = request_copy(
            backup=self.get_object(),
            destination=destination_of(body["destination"], field="destination"),
            source=destination_of(place, field="source_destination") if place else None,
            user=user_of(request),
        )
        return accepted(CopyJobSerializer(job), "api:copy-detail", job)

    @extend_schema(request=CopyChangeSerializer, responses=CopySerializer, parameters=[COPY_ID])
    @action(methods=["patch"], url_path="copies/(?P<copy_id>[0-9]{1,18})", **DETAIL_ACTION)
    def change_copy(self, request: Request, pk: str, copy_id: str) -> Response:
        """Locks or unlocks a copy against the retention of its destination."""
        given = CopyChangeSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        return Response(CopySerializer(lock_copy(copy=self._copy(copy_id), **given.validated_data)).data)

    @extend_schema(responses={204: None, 202: CopySerializer}, parameters=[COPY_ID])
    @change_copy.mapping.delete
    def delete_copy(self, request: Request, pk: str, copy_id: str) -> Response:
        """Deletes a copy: 204, or 202 while its destination does not answer; 409 for the last good one."""
        copy = self._copy(copy_id)
        if delete_copy(copy=copy):
            return Response(status=204)
        copy.refresh_from_db()
        return Response(CopySerializer(copy).data, status=202)

    def _copy(self, copy_id: str) -> Copy:
        copy = Copy.objects.filter(pk=copy_id, backup=self.get_object()).first()
        if copy is None:
            raise Http404
        return copy


class CopiesOfDatabase(viewsets.GenericViewSet[Any]):
    """What a Database's page says of its copies."""

    @extend_schema(responses=ProtectionSerializer)
    @action(**DETAIL_ACTION)
    def copies(self, request: Request, pk: str) -> Response:
        """The 3-2-1 view: copies, media, off-site, and what is lacking at each named destination."""
        return Response(ProtectionSerializer(protections([self.get_object()])[0]).data)


class CopyJobViewSet(RoleOfActions, HasLog, viewsets.ReadOnlyModelViewSet[CopyJob]):
    """Copy jobs: runs that fill a further destination from a copy that is there."""

    queryset = CopyJob.objects.all()
    serializer_class = CopyJobSerializer
    lookup_value_regex = "[^/\\x00]+"
    filterset_class = CopyJobFilters
    roles = {"cancel": Role.OPERATOR}
    search_fields = ("id", "backup_label", "destination_label")
    ordering_fields = ("created_at", "started_at", "finished_at", "status")
    ordering = ("-created_at",)

    @extend_schema(request=None, responses={202: CopyJobSerializer})
    @action(methods=["post"], **DETAIL_ACTION)
    def cancel(self, request: Request, pk: str) -> Response:
        """At once while it waits; a running one stops within seconds. What a Database names is asked for again."""
        return cancelled(self)
