"""Events: what happened, and who was told."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import display

from jobs.admin.pages import PageAdmin
from jobs.templatetags.backupsite import distance, moment, two_lines
from notifications.admin.shown import database_choices, severity_badge
from notifications.kinds import KINDS
from notifications.links import path_of
from notifications.models import Event


class KindFilter(DropdownFilter):
    title = _("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in KINDS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Event]) -> QuerySet[Event]:
        return queryset.filter(kind=self.value()) if self.value() in KINDS else queryset


class DatabaseFilter(DropdownFilter):
    title = _("Database")
    parameter_name = "database"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return database_choices()

    def queryset(self, request: HttpRequest, queryset: QuerySet[Event]) -> QuerySet[Event]:
        value = self.value()
        if value and "\0" in value:  # no id holds one, and PostgreSQL refuses to look for it
            return queryset.none()
        return queryset.filter(database_id=value) if value else queryset


@admin.register(Event)
class EventAdmin(PageAdmin):
    page_template = "notifications/event.html"
    list_display = ("what", "how_bad", "about", "at")
    list_filter = (("severity", ChoicesDropdownFilter), KindFilter, DatabaseFilter)
    list_filter_submit = True
    search_fields = ("subject_id", "database_id", "message")
    empty_hint = _("What happens to Databases, destinations and channels is listed here.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        return Event.objects.select_related("muted_by")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description=_("Event"))
    def what(self, event: Event) -> SafeString:
        return two_lines(event.message[:200], event.kind)

    @display(description=_("Severity"), ordering="severity")
    def how_bad(self, event: Event) -> SafeString:
        return severity_badge(event.severity)

    @display(description=_("About"), ordering="database_id")
    def about(self, event: Event) -> SafeString:
        return two_lines(event.database_id or event.subject_id, event.subject_id if event.database_id else "")

    @display(description=_("Time"), ordering="created_at")
    def at(self, event: Event) -> SafeString:
        return two_lines(moment(event.created_at), distance(event.created_at))

    def page_context(self, request: HttpRequest, obj: Event) -> dict[str, Any]:
        kind = KINDS.get(obj.kind)
        return {
            "about": kind.description if kind else "",
            "badge": severity_badge(obj.severity),
            "path": path_of(obj),
            "deliveries": obj.deliveries.select_related("channel")[:50],
        }
