"""Events: what happened, and who was told."""

from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import CharField, Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.urls import reverse
from django.utils.dateparse import parse_datetime
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesCheckboxFilter, DropdownFilter
from unfold.decorators import display

from jobs.admin.pages import PageAdmin
from jobs.templatetags.backupsite import distance, moment, two_lines
from notifications.admin.shown import NamedChanges, database_choices, severity_badge, with_badges
from notifications.kinds import KINDS
from notifications.links import path_of
from notifications.models import Event
from notifications.registry import databases

LABELS = {
    "since": _("Since"),
    "last_good_at": _("Last good backup"),
    "last_proven_at": _("Last proven"),
    "fault": _("Fault"),
    "by": _("By"),
    "note": _("Note"),
}


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
    list_filter = (("severity", ChoicesCheckboxFilter), KindFilter, DatabaseFilter)
    list_filter_submit = True
    search_fields = ("subject_id", "database_id", "message")
    search_help_text = _("Search by message, Database or id")
    empty_hint = _("What happens to Databases, destinations and channels is listed here.")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[NamedChanges]:
        return NamedChanges

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        users = get_user_model().objects.annotate(text=Cast("pk", CharField())).filter(text=OuterRef("subject_id"))
        return Event.objects.select_related("muted_by").annotate(user_name=Subquery(users.values("username")[:1]))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description=_("Severity"), ordering="severity")
    def how_bad(self, event: Event) -> SafeString:
        return severity_badge(event.severity)

    @display(description=_("Event"))
    def what(self, event: Event) -> SafeString:
        muted = f" · {gettext('muted')}" if event.muted_by_id else ""
        return two_lines(event.message[:200], f"{event.kind}{muted}")

    @display(description=_("About"), ordering="database_id")
    def about(self, event: Any) -> SafeString:
        database = event.names.get(event.database_id, event.database_id)
        return two_lines(database or subject_of(event), subject_of(event) if database else "")

    @display(description=_("Time"), ordering="created_at")
    def at(self, event: Event) -> SafeString:
        return two_lines(moment(event.created_at), distance(event.created_at))

    # The page

    def page_context(self, request: HttpRequest, obj: Event) -> dict[str, Any]:
        kind = KINDS.get(obj.kind)
        deliveries = obj.deliveries.select_related("channel", "ping").annotate(count=Count("events"))
        return {
            "title": obj.message[:80],
            "about": gettext(kind.description) if kind else "",
            "badge": severity_badge(obj.severity),
            "subject": subject_of(obj),
            "path": self._path_of(obj),
            "database": dict(databases()).get(obj.database_id, obj.database_id),
            "facts": [(LABELS[name], _fact(value)) for name, value in obj.data.items() if name in LABELS],
            "deliveries": with_badges(deliveries.order_by("-id")[:50]),
        }

    def _path_of(self, event: Any) -> str:
        if event.user_name and event.kind.startswith("security."):
            return reverse("admin:auth_user_change", args=[event.subject_id])
        return path_of(event)


def subject_of(event: Any) -> str:
    """What it is about: its id, or the name of a user, whose id says nothing to anybody."""
    if not (event.kind.startswith("security.") and event.subject_id.isdecimal()):
        return str(event.subject_id)
    return event.user_name or gettext("a user who is gone")


def _fact(value: Any) -> Any:
    if value is None:
        return gettext("never")
    at = parse_datetime(value) if isinstance(value, str) else None
    return moment(at) if at else value
