"""Which language an answer speaks: pages the reader's, everything that programs read or that is kept English."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils import translation
from django.utils.cache import patch_vary_headers

ADMIN = "/admin/"
PAGES = frozenset({"/exports", "/exports/"})  # below it is what the page's script reads


class LanguageMiddleware:
    """The language that the reader chose (a cookie), else the browser's. It ends with the request: threads are used
    again, and the next request may be a program's. What is recorded around the request is recorded in English."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not is_page(request.path_info):
            with translation.override(settings.LANGUAGE_CODE):
                return self.get_response(request)
        language = translation.get_language_from_request(request)
        with translation.override(language):
            response = self.get_response(request)
        patch_vary_headers(response, ("Accept-Language", "Cookie"))
        response.headers.setdefault("Content-Language", language)
        return response


def is_page(path: str) -> bool:
    return path.startswith(ADMIN) or path in PAGES
