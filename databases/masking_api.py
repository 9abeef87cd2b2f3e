"""The masking rules of a Database over HTTP: read and replaced as a whole."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from databases.models import Database, MaskingRule
from databases.selectors import masking_of
from databases.services.save_masking import MOST, save_masking
from jobs.api import StrictSerializer


class MaskingRuleSerializer(StrictSerializer):
    """What a restore into this Database does to a column before anybody can read it."""

    item = serializers.CharField(max_length=255, help_text="schema.table, or database.collection.")
    column = serializers.CharField(max_length=255, help_text="A column, or the path of a field.")
    method = serializers.ChoiceField(choices=MaskingRule.Method.choices)
    value = serializers.CharField(
        max_length=1000,
        allow_blank=True,
        required=False,
        default="",
        trim_whitespace=False,
        help_text="Of `fixed` the value; of `fake` what is made up: `email`, `name`, `phone` or `text`.",
    )


class MaskingSerializer(StrictSerializer):
    rules = MaskingRuleSerializer(many=True, help_text=f"At most {MOST}.")


class Masking(viewsets.GenericViewSet[Database]):
    """Mixed into the view of Databases."""

    @extend_schema(responses=MaskingSerializer)
    @action(detail=True, filter_backends=[], pagination_class=None)
    def masking(self, request: Request, pk: str) -> Response:
        """What restores into this Database mask."""
        return Response(MaskingSerializer({"rules": masking_of(self.get_object())}).data)

    @extend_schema(request=MaskingSerializer, responses=MaskingSerializer)
    @masking.mapping.put
    def replace_masking(self, request: Request, pk: str) -> Response:
        """Replaces all rules. 422 where the engine masks nothing."""
        given = MaskingSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        user: Any = request.user if request.user.is_authenticated else None
        rules = save_masking(database=self.get_object(), rules=given.validated_data["rules"], user=user)
        return Response(MaskingSerializer({"rules": rules}).data)
