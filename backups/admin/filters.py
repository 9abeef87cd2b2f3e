"""Filters of the lists."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import DropdownFilter

from databases.models import Database


class DatabaseFilter(DropdownFilter):
    """By the Databases that exist; a deleted one's backups are found by search."""

    title = "Database"
    parameter_name = "database"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(pk, f"{name} ({pk})") for pk, name in Database.objects.values_list("pk", "name")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value and "\0" in value:  # no id holds one, and PostgreSQL refuses to look for it
            return queryset.none()
        return queryset.filter(database=value) if value else queryset
