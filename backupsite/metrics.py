"""`/metrics`: what the rows say, and what the web processes of this host have counted.

django-prometheus's own view leaves out collectors that read the database where several processes count, so the
registry is made here, anew for each scrape.
"""

import hmac
import os
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from drf_spectacular.utils import extend_schema
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from rest_framework.request import Request
from rest_framework.views import APIView

from backups.copy_metrics import CopiesCollector
from backups.metrics import BackupsCollector
from exports.metrics import ExportsCollector
from jobs.metrics import JobsCollector
from notifications.metrics import NotificationsCollector
from packages.metrics import PackagesCollector

COLLECTORS = (
    JobsCollector,
    BackupsCollector,
    CopiesCollector,
    PackagesCollector,
    ExportsCollector,
    NotificationsCollector,
)


@require_safe
@never_cache
def metrics(request: HttpRequest, *args: Any) -> HttpResponse:
    """For whoever has the token of BACKUPSITE_METRICS_TOKEN or a role, or for all with BACKUPSITE_METRICS_OPEN."""
    if settings.BACKUPSITE_METRICS_OPEN or _has_token(request):
        return _scrape()
    answer: HttpResponse = MetricsView.as_view()(request)
    return answer


@extend_schema(exclude=True)
class MetricsView(APIView):
    """For users and API keys with a role."""

    def get(self, request: Request) -> HttpResponse:
        return _scrape()


def _has_token(request: HttpRequest) -> bool:
    token = settings.BACKUPSITE_METRICS_TOKEN
    given = request.headers.get("Authorization", "")
    return bool(token) and hmac.compare_digest(given.encode(), f"Bearer {token}".encode())


def _scrape() -> HttpResponse:
    registry = CollectorRegistry()
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        registry.register(_OneProcess())
    for collector in COLLECTORS:
        registry.register(collector())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class _OneProcess:
    """What this process alone has counted: under `runserver` and in tests."""

    def collect(self) -> Any:
        return REGISTRY.collect()
