"""Pages of lists: `?page=&page_size=`, 50 unless told, at most 200."""

from collections.abc import Mapping
from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request


class Pages(PageNumberPagination):
    """A page that is no number is 400, one behind the last is 404; a larger page size gives 200 rows."""

    page_size = 50
    max_page_size = 200
    page_size_query_param = "page_size"
    page_size_query_description = "Rows on a page: 50 unless told, never more than 200."

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        for name in ("page", "page_size"):
            value = request.query_params.get(name, "1")
            if not (value.isascii() and value.isdigit() and int(value[:20]) > 0):
                raise ValidationError({name: ["Give a whole number from 1 up."]})
        return super().paginate_queryset(queryset, request, view)

    def get_paginated_response_schema(self, schema: Any) -> Any:
        described: Mapping[str, Any] = super().get_paginated_response_schema(schema)
        return {**described, "required": ["count", "next", "previous", "results"]}
