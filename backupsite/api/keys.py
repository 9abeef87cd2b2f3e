"""API keys over HTTP, for admins."""

from typing import ClassVar

from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from backupsite.api.models import ApiKey
from backupsite.api.models import Role as RoleName
from backupsite.api.services.api_keys import create_api_key, revoke_api_key
from jobs.api import RoleOfActions, StrictSerializer
from jobs.roles import Role


class ApiKeySerializer(StrictSerializer):
    id = serializers.CharField(read_only=True)
    name = serializers.CharField(max_length=200)
    role = serializers.ChoiceField(choices=RoleName.choices)
    expires_at = serializers.DateTimeField(allow_null=True, required=False)
    created_at = serializers.DateTimeField(read_only=True)
    last_used_at = serializers.DateTimeField(read_only=True, allow_null=True)
    revoked_at = serializers.DateTimeField(read_only=True, allow_null=True)


class NewApiKeySerializer(ApiKeySerializer):
    key = serializers.CharField(read_only=True, help_text="Shown now and never again.")


class ApiKeyViewSet(RoleOfActions, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[ApiKey]):
    """API keys: how programs call without a login."""

    queryset = ApiKey.objects.all()
    serializer_class = ApiKeySerializer
    lookup_value_regex = "[^/\\x00]+"
    search_fields = ("id", "name")
    ordering_fields = ("created_at", "name", "expires_at", "last_used_at")
    ordering = ("-created_at",)
    roles: ClassVar[dict[str, Role]] = {"list": Role.ADMIN, "retrieve": Role.ADMIN}

    @extend_schema(responses={201: NewApiKeySerializer})
    def create(self, request: Request) -> Response:
        """Makes a key. `key` is sent as `Authorization: Api-Key <key>`."""
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        user = request.user if request.user.is_authenticated else None
        key, secret = create_api_key(**serializer.validated_data, user=user)
        location = reverse("api:key-detail", args=[key.pk])
        body = {**self.get_serializer(key).data, "key": secret}
        return Response(body, status=201, headers={"Location": location, "Cache-Control": "no-store"})

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Revokes the key at once; it stays listed."""
        revoke_api_key(key=self.get_object())
        return Response(status=204)
