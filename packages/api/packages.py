"""Packages over HTTP: ask for one, watch it, use it; and when they are made by themselves."""

from typing import Any, ClassVar

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from backups.api.common import DETAIL_ACTION, accepted, cancelled, user_of
from backups.api.filters import AnyOf, RunFilters
from backups.api.log import HasLog
from backups.api.serializers import LinkSerializer
from backups.api.streaming import Bytes
from jobs.api import RoleOfActions
from jobs.roles import Role
from packages.api import serializers
from packages.api.download import download, make_link
from packages.models import Compression, Package
from packages.selectors import package_policy, packages_with_copies
from packages.services.prune import delete_package
from packages.services.request import request_package
from packages.services.save_policy import save_package_policy

LIST_ACTION: dict[str, Any] = {**DETAIL_ACTION, "detail": False}


class PackageFilters(RunFilters):
    trigger = AnyOf(choices=Package.Trigger.choices)
    compression = AnyOf(choices=Compression.choices)

    class Meta:
        model = Package
        fields: ClassVar[list[str]] = []


class PackageViewSet(
    RoleOfActions, HasLog, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Package]
):
    """Packages: the newest completed backups of several Databases in one archive."""

    queryset = packages_with_copies()
    serializer_class = serializers.PackageSerializer
    lookup_value_regex = "[^/\\x00]+"
    filterset_class = PackageFilters
    search_fields = ("id", "members__database_id", "members__database_name")
    ordering_fields = ("created_at", "started_at", "finished_at", "size", "status")
    ordering = ("-created_at",)
    roles = dict.fromkeys(("make", "cancel", "download", "download_link"), Role.OPERATOR)
    starts_job = frozenset({"make"})

    def get_object(self) -> Package:
        self.subject = super().get_object()
        return self.subject

    def _body(self, serializer_class: type[Any], **kwargs: Any) -> dict[str, Any]:
        serializer = serializer_class(data=self.request.data, **kwargs)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    @extend_schema(request=serializers.PackageRequestSerializer, responses={202: serializers.PackageSerializer})
    @action(methods=["post"], url_path="create", **LIST_ACTION)
    def make(self, request: Request) -> Response:
        """Asks for a package. While one is made, the next waits its turn."""
        body = self._body(serializers.PackageRequestSerializer)
        package = request_package(trigger=Package.Trigger.API, user=user_of(request), **body)
        return accepted(self.get_serializer(package), "api:package-detail", package)

    @extend_schema(responses=serializers.PackagePageSerializer)
    def retrieve(self, request: Request, pk: str) -> Response:
        """A package: its state, its size, its digests, its members and what is missing."""
        return Response(serializers.PackagePageSerializer(self.get_object()).data)

    @extend_schema(responses={204: None, 202: serializers.PackageSerializer})
    def destroy(self, request: Request, pk: str) -> Response:
        """Deletes the object, then the row: 204, or 202 while the destination does not answer."""
        if delete_package(package=self.get_object()):
            return Response(status=204)
        return Response(self.get_serializer(self.get_queryset().get(pk=pk)).data, status=202)

    @extend_schema(request=None, responses={202: serializers.PackageSerializer})
    @action(methods=["post"], **DETAIL_ACTION)
    def cancel(self, request: Request, pk: str) -> Response:
        """At once while it waits; a running one stops within seconds."""
        return cancelled(self)

    @extend_schema(request=serializers.PackageLinkRequestSerializer, responses={200: LinkSerializer})
    @action(methods=["post"], url_path="download-link", **DETAIL_ACTION)
    def download_link(self, request: Request, pk: str) -> Response:
        """A link that needs no other credentials, until it expires or the package is deleted."""
        body = self._body(serializers.PackageLinkRequestSerializer)
        link = make_link(package=self.get_object(), request=request, **body)
        return Response(LinkSerializer(link).data, headers={"Cache-Control": "no-store"})

    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    @action(renderer_classes=[Bytes], **DETAIL_ACTION)
    def download(self, request: Request, pk: str) -> HttpResponseBase:
        """The package as it is stored. Takes one `Range`, `If-Range` and `HEAD`."""
        return download(package=self.get_object(), request=request)

    @extend_schema(responses=serializers.PackagePolicySerializer)
    @action(**LIST_ACTION)
    def policy(self, request: Request) -> Response:
        """When packages are made by themselves, and how long they are kept."""
        return Response(serializers.PackagePolicySerializer(package_policy()).data)

    @extend_schema(request=serializers.PackagePolicySerializer, responses=serializers.PackagePolicySerializer)
    @policy.mapping.patch
    def change_policy(self, request: Request) -> Response:
        """Changes what is given, and leaves the rest as it is."""
        values = self._body(serializers.PackagePolicySerializer, partial=True)
        if "destination_id" in values:
            values["destination"] = values.pop("destination_id")
        return Response(serializers.PackagePolicySerializer(save_package_policy(values=values)).data)
