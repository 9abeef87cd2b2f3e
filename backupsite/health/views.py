"""`/healthz`: this process is up. `/readyz`: the site can do its work. Both without a login."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from backupsite.health.selectors import faults


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """Asks nothing of the database, so that a restart is not triggered by a fault that it cannot mend."""
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> HttpResponse:
    found = faults()
    if not found:
        return JsonResponse({"status": "ready"})
    problem = {
        "type": "about:blank",
        "title": "Not ready",
        "status": 503,
        "code": "not_ready",
        "detail": " ".join(found.values()),
        "reasons": [{"check": name, "message": message} for name, message in found.items()],
    }
    return JsonResponse(problem, status=503, content_type="application/problem+json", headers={"Retry-After": "10"})
