"""`?ordering=` that refuses what it does not know, instead of giving another order in silence."""

from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.filters import OrderingFilter
from rest_framework.request import Request


class StrictOrdering(OrderingFilter):
    def remove_invalid_fields(self, queryset: Any, fields: Any, view: Any, request: Request) -> list[str]:
        names = [name for name, _ in self.get_valid_fields(queryset, view, {"request": request})]
        for term in fields:
            if term.removeprefix("-") not in names:
                raise ValidationError({"ordering": [f"Order by one of: {', '.join(names)}; with '-' downwards."]})
        return list(fields)

    def get_ordering(self, request: Request, queryset: Any, view: Any) -> Any:
        """The primary key comes last, so that no row is on two pages."""
        ordering = super().get_ordering(request, queryset, view)
        return [*ordering, "-pk"] if ordering else ordering
