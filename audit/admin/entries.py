"""Who did what from where: read by admins, changed by nobody."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter, RangeDateFilter
from unfold.decorators import display

from audit.models import Entry
from audit.templatetags.audit import action_words, outcome_badge
from jobs.admin.pages import PageAdmin
from jobs.roles import Role
from jobs.templatetags.backupsite import distance, moment, two_lines, words


class FamilyFilter(DropdownFilter):
    """By what was acted on: the first word of an action."""

    title = _("about")
    parameter_name = "about"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        actions = Entry.objects.order_by("action").values_list("action", flat=True).distinct()
        families = dict.fromkeys(action.partition(".")[0] for action in actions)
        return [(family, words(family)) for family in families]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Entry]) -> QuerySet[Entry]:
        value = self.value()
        if not value or "\0" in value:
            return queryset
        return queryset.filter(action__startswith=f"{value}.") | queryset.filter(action=value)


@admin.register(Entry)
class EntryAdmin(PageAdmin):
    view_role = Role.ADMIN
    page_template = "audit/entry.html"
    list_display = ("what", "by", "where", "came_out", "when")
    list_filter = (
        FamilyFilter,
        ("outcome", ChoicesDropdownFilter),
        ("via", ChoicesDropdownFilter),
        ("at", RangeDateFilter),
    )
    list_filter_submit = True
    list_per_page = 50
    search_fields = ("who", "action", "object_id", "object_name", "address", "through")
    show_full_result_count = False
    empty_hint = _("What people and programs do here is listed from now on.")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description=_("Action"))
    def what(self, entry: Entry) -> SafeString:
        return two_lines(action_words(entry), entry.object_name or entry.object_id or words(entry.detail))

    @display(description=_("Who"), ordering="who")
    def by(self, entry: Entry) -> SafeString:
        return two_lines(entry.who or entry.through or gettext("nobody"), entry.role)

    @display(description=_("From"), ordering="address")
    def where(self, entry: Entry) -> SafeString:
        return two_lines(entry.address or "–", entry.get_via_display())

    @display(description=_("Outcome"), ordering="outcome")
    def came_out(self, entry: Entry) -> SafeString:
        return outcome_badge(entry)

    @display(description=_("Time"), ordering="id")
    def when(self, entry: Entry) -> SafeString:
        return two_lines(moment(entry.at), distance(entry.at))

    def page_context(self, request: HttpRequest, obj: Entry) -> dict[str, Any]:
        return {"badge": outcome_badge(obj), "action": action_words(obj), "changes": changes_of(obj)}


def changes_of(entry: Entry) -> list[dict[str, Any]]:
    """The changes for the page: each with its fields as rows of a name, what it was and what it is."""
    found = []
    for change in entry.changes:
        rows = [_row(name, value) for name, value in change.get("fields", {}).items()]
        found.append({**change, "rows": rows})
    return found


def _row(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        return {"name": words(name), "before": value[0], "after": value[1], "shown": True}
    if isinstance(value, dict):  # of a relation: the names that went and came
        went, came = (", ".join(value.get(word, [])) for word in ("removed", "added"))
        return {"name": words(name), "before": went, "after": came, "shown": True}
    return {"name": words(name), "shown": False}
