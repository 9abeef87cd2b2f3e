"""Filters that lead from a figure of the dashboard to exactly the rows it counts."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter

from backups.standing import STANDINGS, ids_standing

PERIODS = {"24h": timedelta(hours=24), "7d": timedelta(days=7), "14d": timedelta(days=14), "30d": timedelta(days=30)}


class StandingFilter(DropdownFilter):
    """Of Databases: by how they stand."""

    title = _("Standing")
    parameter_name = "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(name, words) for name, (words, _stands) in STANDINGS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset.filter(pk__in=ids_standing(value)) if value in STANDINGS else queryset


class PeriodFilter(DropdownFilter):
    """By when it was asked for: within so long, or on one day of the reader's timezone (`2026-11-20`)."""

    title = _("When")
    parameter_name = "when"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        named = [
            ("24h", _("the last 24 hours")),
            ("7d", _("the last 7 days")),
            ("14d", _("the last 14 days")),
            ("30d", _("the last 30 days")),
        ]
        day = _day_of(self.value()) if self.used_parameters else None
        return [*named, (day.date().isoformat(), day.date())] if day else named

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value in PERIODS:
            return queryset.filter(created_at__gte=timezone.now() - PERIODS[value])
        if (day := _day_of(value)) is not None:
            end = timezone.make_aware(datetime.combine(day.date() + timedelta(days=1), day.time()))
            return queryset.filter(created_at__gte=day, created_at__lt=end)
        return queryset


def _day_of(value: str | None) -> datetime | None:
    """Its first moment; None for what is no day."""
    try:
        day = parse_date(value or "")
    except ValueError:  # such as 2026-02-30
        return None
    return timezone.make_aware(datetime.combine(day, datetime.min.time())) if day else None
