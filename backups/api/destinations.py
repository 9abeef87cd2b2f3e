"""Destinations over HTTP: where artefacts live."""

from typing import Any, ClassVar

import django_filters
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, viewsets
from rest_framework import serializers as rest
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from backups.destinations import check_destination
from backups.models import Destination, make_destination_id
from backups.services.save_destination import MOST_LOCK_DAYS, delete_destination, save_destination
from jobs.api import RoleOfActions, StrictSerializer
from jobs.roles import Role


def _text(length: int, **more: Any) -> rest.CharField:
    return rest.CharField(max_length=length, allow_blank=True, required=False, **more)


class DestinationSerializer(StrictSerializer):
    id = rest.CharField(max_length=63, required=False)
    name = rest.CharField(max_length=200)
    kind = rest.ChoiceField(choices=Destination.Kind.choices)
    is_default = rest.BooleanField(required=False, help_text="Used by every Database that names no destination.")
    queue = _text(63, help_text="Worker queue of the host that has this folder; empty when all have.")
    path = _text(1024, help_text="local: absolute path of the folder.")
    reserve_bytes = rest.IntegerField(min_value=0, max_value=(1 << 63) - 1, required=False)
    bucket = _text(255)
    prefix = _text(512)
    endpoint_url = _text(512, help_text="Empty for AWS.")
    region = _text(63)
    access_key = _text(255, help_text="Empty to use the host's own role.")
    secret_key = _text(1024, write_only=True)
    has_secret_key = rest.BooleanField(read_only=True)
    ca = _text(100_000, help_text="Certificates (PEM) to trust instead of the system's.")
    storage_class = _text(63)
    server_side_encryption = rest.ChoiceField(
        choices=Destination.ServerSideEncryption.choices, allow_blank=True, required=False
    )
    kms_key_id = _text(2048)
    addressing = rest.ChoiceField(choices=Destination.Addressing.choices, required=False)
    off_site = rest.BooleanField(required=False, help_text="Lies at another place than the Databases it is for.")
    object_lock_mode = rest.ChoiceField(
        choices=Destination.ObjectLock.choices,
        allow_blank=True,
        required=False,
        help_text="S3: the store deletes new objects for nobody until their days are over. The bucket must have it on.",
    )
    object_lock_days = rest.IntegerField(min_value=1, max_value=MOST_LOCK_DAYS, allow_null=True, required=False)
    fault = rest.CharField(
        read_only=True, help_text="Code of what the last look found wrong with it; empty when it is in order."
    )
    looked_at = rest.DateTimeField(read_only=True, allow_null=True)
    created_at = rest.DateTimeField(read_only=True)
    updated_at = rest.DateTimeField(read_only=True)

    def validate_id(self, given: str) -> str:
        if self.instance is not None and given != self.instance.pk:
            raise rest.ValidationError("The id of a Destination cannot change.")
        return given


class DestinationCheckSerializer(rest.Serializer[Any]):
    """The outcome of writing, reading back, listing and deleting a small object."""

    ok = rest.BooleanField()
    latency_ms = rest.FloatField(allow_null=True)
    free_bytes = rest.IntegerField(allow_null=True)
    warnings = rest.ListField(child=rest.CharField())
    error = rest.CharField()
    code = rest.CharField()
    hint = rest.CharField()


class DestinationFilters(django_filters.FilterSet):
    kind = django_filters.ChoiceFilter(choices=Destination.Kind.choices)

    class Meta:
        model = Destination
        fields: ClassVar[list[str]] = []


class DestinationViewSet(
    RoleOfActions, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Destination]
):
    """Destinations: where artefacts live."""

    queryset = Destination.objects.all()
    serializer_class = DestinationSerializer
    lookup_value_regex = "[^/\\x00]+"
    filterset_class = DestinationFilters
    search_fields = ("id", "name", "path", "bucket")
    ordering_fields = ("name", "id", "kind", "created_at")
    ordering = ("name",)
    roles = {"check": Role.OPERATOR}

    def create(self, request: Request) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        values = {"id": make_destination_id(), **serializer.validated_data}
        saved = save_destination(destination=Destination(), values=values, create=True)
        location = reverse("api:destination-detail", args=[saved.pk])
        return Response(self.get_serializer(saved).data, status=201, headers={"Location": location})

    def partial_update(self, request: Request, pk: str) -> Response:
        destination = self.get_object()
        serializer = self.get_serializer(destination, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        saved = save_destination(destination=destination, values=serializer.validated_data, create=False)
        return Response(self.get_serializer(saved).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Refused while copies are stored there or a Database names it."""
        delete_destination(destination=self.get_object())
        return Response(status=204)

    @extend_schema(request=None, responses=DestinationCheckSerializer)
    @action(detail=True, methods=["post"])
    def check(self, request: Request, pk: str) -> Response:
        """Writes, reads back, lists and deletes a small object. What fails is a report with `ok` false."""
        return Response(DestinationCheckSerializer(check_destination(self.get_object())).data)
