"""The schema, and the pages that show it. They load nothing from other sites, and the browser holds them to it."""

from functools import lru_cache
from typing import Any

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

CONTENT_POLICY = "default-src 'self' 'unsafe-inline'; img-src 'self' data:; worker-src 'self' blob:"


class OnceGenerator(SchemaGenerator):
    """Made once a process: it is the same for everybody, and takes a second."""

    def get_schema(self, request: Request | None = None, public: bool = False) -> Any:
        return _schema()


@lru_cache(maxsize=1)
def _schema() -> Any:
    return SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]


class SchemaView(SpectacularAPIView):
    permission_classes = (AllowAny,)
    generator_class = OnceGenerator


class _Page:
    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        response: Response = super().get(request, *args, **kwargs)  # type: ignore[misc]
        response.headers["Content-Security-Policy"] = CONTENT_POLICY
        return response


class SwaggerPage(_Page, SpectacularSwaggerView):
    permission_classes = (AllowAny,)
    url_name = "schema"


class RedocPage(_Page, SpectacularRedocView):
    permission_classes = (AllowAny,)
    url_name = "schema"
    template_name = "api/redoc.html"
