"""The site's own processes: who is alive, and since when."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from backupsite.health.selectors import SEEN_WITHIN
from jobs.admin.pages import RoleAdmin
from jobs.models import Process
from jobs.templatetags.backupsite import distance, moment, two_lines
from jobs.templatetags.parts import state_badge

ROLES = (("web", _("web")), ("worker", _("worker")), ("beat", _("beat")), ("sweeper", _("sweeper")))


class ProcessRoleFilter(DropdownFilter):
    title = _("role")
    parameter_name = "role"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(ROLES)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Process]) -> QuerySet[Process]:
        return queryset.filter(role=self.value()) if self.value() in dict(ROLES) else queryset


@admin.register(Process)
class ProcessAdmin(RoleAdmin):
    list_display = ("what", "state", "seen", "since")
    list_display_links = None
    list_filter = (ProcessRoleFilter,)
    ordering = ("-seen_at",)
    empty_hint = _("Start the site with manage.py serve: it runs web, worker, beat and sweeper.")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description=_("Process"), ordering="role")
    def what(self, process: Process) -> SafeString:
        return two_lines(dict(ROLES).get(process.role, process.role), f"{process.host} · {process.pid}")

    @display(description=_("State"))
    def state(self, process: Process) -> SafeString:
        alive = process.seen_at >= timezone.now() - SEEN_WITHIN
        badge: SafeString = (
            state_badge("good", "check_circle", gettext("alive"))
            if alive
            else state_badge("quiet", "radio_button_unchecked", gettext("not seen"))
        )
        return badge

    @display(description=_("Last seen"), ordering="seen_at")
    def seen(self, process: Process) -> str:
        return distance(process.seen_at)

    @display(description=_("Started"), ordering="started_at")
    def since(self, process: Process) -> SafeString | str:
        return moment(process.started_at)
