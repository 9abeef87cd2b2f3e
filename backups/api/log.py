"""The log of a run over HTTP, for whatever a view shows."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request

from backups.api.common import DETAIL_ACTION
from backups.api.streaming import Bytes
from jobs.selectors import log_text


class HasLog:
    """Mixed into a view set of jobs."""

    @extend_schema(responses={(200, "text/plain"): OpenApiTypes.STR})
    @action(renderer_classes=[Bytes], **DETAIL_ACTION)
    def log(self: Any, request: Request, pk: str) -> HttpResponse:
        """What the run said, oldest first."""
        return HttpResponse(log_text(self.get_object()), content_type="text/plain; charset=utf-8")
