"""Pages of other origins that may ask for exports: those that BACKUPSITE_EXPORT_PAGES names, and no other route.

No cookie is ever taken across origins: end users sign each request, so `Access-Control-Allow-Credentials` is not sent.
"""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

ROUTES = frozenset(
    {"own-export-list", "own-export-detail", "own-export-cancel", "own-export-revoke-link", "export-fetch"}
)
METHODS = "GET, HEAD, POST, DELETE"
SENT = "Authorization, Content-Type, Idempotency-Key, Range"
SHOWN = (
    "Content-Disposition, Content-Range, Location, Retry-After, "
    "RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, WWW-Authenticate"
)
REMEMBERED_S = 600


class ExportPagesMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if _is_for_users(request):
            patch_vary_headers(response, ("Origin",))
            if _is_allowed(request):
                response["Access-Control-Allow-Origin"] = request.headers["Origin"]
                response["Access-Control-Expose-Headers"] = SHOWN
        return response

    def process_view(self, request: HttpRequest, view: object, args: object, kwargs: object) -> HttpResponse | None:
        """What browsers ask first, without the signature: whether they may ask."""
        asks = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        if not (asks and _is_for_users(request) and _is_allowed(request)):
            return None
        headers = {
            "Access-Control-Allow-Methods": METHODS,
            "Access-Control-Allow-Headers": SENT,
            "Access-Control-Max-Age": str(REMEMBERED_S),
        }
        return HttpResponse(status=204, headers=headers)


def _is_for_users(request: HttpRequest) -> bool:
    return request.resolver_match is not None and request.resolver_match.url_name in ROUTES


def _is_allowed(request: HttpRequest) -> bool:
    return request.headers.get("Origin") in settings.BACKUPSITE_EXPORT_PAGES
