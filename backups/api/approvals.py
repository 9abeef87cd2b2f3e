"""What waits for a second person, over HTTP: asked for by the routes that would do it, decided here."""

from collections.abc import Callable
from typing import Any, ClassVar

import django_filters
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework_simplejwt.tokens import Token

from backups.api.common import DETAIL_ACTION
from backups.models import Approval
from backups.services.decide_approval import approve, refuse, withdraw
from jobs.api import RoleOfActions, StrictSerializer
from jobs.errors import BackupError
from jobs.roles import Role


class ApprovalSerializer(serializers.Serializer[Any]):
    """Something one person asked for and another one has to agree to before it is done."""

    id = serializers.CharField()
    action = serializers.ChoiceField(choices=Approval.Action.choices)
    status = serializers.ChoiceField(source="state", choices=Approval.State.choices)
    subject_id = serializers.CharField(help_text="Of the backup or Database.")
    target_id = serializers.CharField(help_text="Of the Database that a restore writes into; else empty.")
    summary = serializers.CharField(help_text="What will be done.")
    requested_by = serializers.CharField(source="requested_by_name")
    requested_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    decided_by = serializers.CharField(source="decided_by_name", help_text="Empty before, and when it expired.")
    decided_at = serializers.DateTimeField(allow_null=True)
    note = serializers.CharField()
    outcome = serializers.CharField(help_text="Id of the restore that was started, or why it could not be done.")


class NoteSerializer(StrictSerializer):
    note = serializers.CharField(max_length=1000, allow_blank=True, required=False, default="")


class ApprovalFilters(django_filters.FilterSet):
    status = django_filters.ChoiceFilter(field_name="state", choices=Approval.State.choices)
    action = django_filters.ChoiceFilter(choices=Approval.Action.choices)
    subject = django_filters.CharFilter(field_name="subject_id")

    class Meta:
        model = Approval
        fields: ClassVar[list[str]] = []


def waiting(approval: Approval) -> Response:
    """The answer of a route that would have done it: it waits for a second person."""
    location = reverse("api:approval-detail", args=[approval.pk])
    return Response(ApprovalSerializer(approval).data, status=202, headers={"Location": location})


class ApprovalViewSet(RoleOfActions, viewsets.ReadOnlyModelViewSet[Approval]):
    """What waits for a second person, and what became of all that ever did."""

    queryset = Approval.objects.defer("parameters")
    serializer_class = ApprovalSerializer
    lookup_value_regex = "[^/\\x00]+"
    filterset_class = ApprovalFilters
    search_fields = ("id", "subject_id", "target_id", "requested_by_name", "decided_by_name")
    ordering_fields = ("requested_at", "expires_at", "decided_at")
    ordering = ("-requested_at",)
    roles = dict.fromkeys(("approve", "refuse", "withdraw"), Role.OPERATOR)

    @extend_schema(request=NoteSerializer, responses=ApprovalSerializer)
    @action(methods=["post"], **DETAIL_ACTION)
    def approve(self, request: Request, pk: str) -> Response:
        """Agrees, and it is done: `status` is then `approved`, or `failed` when it could not be done any more."""
        return self._decided(request, approve)

    @extend_schema(request=NoteSerializer, responses=ApprovalSerializer)
    @action(methods=["post"], **DETAIL_ACTION)
    def refuse(self, request: Request, pk: str) -> Response:
        """Nothing is done."""
        return self._decided(request, refuse)

    @extend_schema(request=NoteSerializer, responses=ApprovalSerializer)
    @action(methods=["post"], **DETAIL_ACTION)
    def withdraw(self, request: Request, pk: str) -> Response:
        """Who asked takes it back."""
        return self._decided(request, withdraw)

    def _decided(self, request: Request, decide: Callable[..., Approval]) -> Response:
        body = NoteSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        decided = decide(approval=self.get_object(), user=_person(request), note=body.validated_data["note"])
        return Response(ApprovalSerializer(decided).data)


def _person(request: Request) -> Any:
    """Somebody who is logged in. A program with a key is nobody's second pair of eyes."""
    if not request.user.is_authenticated or not (request.auth is None or isinstance(request.auth, Token)):
        raise BackupError(
            "An API key decides nothing that needs a second person.",
            code="needs_person",
            permanent=True,
            hint="Log in and decide it yourself.",
        )
    return request.user
