"""Errors outside REST framework (unknown addresses, refused hosts, defects): problem+json too, pages for the admin."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults

from backupsite.api.problems import MEDIA_TYPE, problem


def _answer(status: int, code: str, detail: str) -> HttpResponse:
    return JsonResponse(problem(status, code, detail), status=status, content_type=MEDIA_TYPE)


def _for_people(request: HttpRequest) -> bool:
    return request.path.startswith("/admin")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _for_people(request):
        return defaults.bad_request(request, exception)
    return _answer(400, "bad_request", "The request is malformed.")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _for_people(request):
        return defaults.permission_denied(request, exception)
    return _answer(403, "permission_denied", "Your role does not allow this.")


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _for_people(request):
        return defaults.page_not_found(request, exception)
    return _answer(404, "not_found", "There is nothing at this address.")


def server_error(request: HttpRequest, *args: Any) -> HttpResponse:
    if _for_people(request):
        return defaults.server_error(request)
    return _answer(500, "internal_error", "This is a defect: the site's log holds the traceback.")
