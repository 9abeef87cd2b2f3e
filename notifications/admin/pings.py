"""Ping addresses: one for each Database that has one."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from jobs.admin.forms import KEEP, PageForm, SecretField
from jobs.admin.pages import PageAdmin, posted
from jobs.templatetags.backupsite import distance
from notifications.admin.shown import NamedChanges, database_choices, target_badge, with_badges
from notifications.models import Ping
from notifications.registry import databases
from notifications.services.save_ping import delete_ping, save_ping
from notifications.services.try_channel import try_ping


class PingForm(PageForm):
    sections = ((_("Ping"), "", ("database_id", "url", "enabled", "start_and_fail")),)

    def __init__(self, *args: Any, ping: Ping | None, **kwargs: Any) -> None:
        initial = {name: getattr(ping, name) for name in ("enabled", "start_and_fail")} if ping else {}
        super().__init__(*args, **{"initial": initial, **kwargs})
        if ping is None:
            self.fields["database_id"] = forms.ChoiceField(choices=database_choices(), label=_("Database"))
        self.fields["url"] = SecretField(
            is_set=ping is not None,
            removable=False,
            label=_("Address"),
            help_text=_("Asked after every good backup, such as https://hc-ping.com/<uuid>."),
        )
        self.fields["enabled"] = forms.BooleanField(required=False, initial=True)
        self.fields["start_and_fail"] = forms.BooleanField(
            required=False,
            initial=True,
            label=_("Tell of starts and failures"),
            help_text=_("At <address>/start and <address>/fail, as healthchecks.io takes them."),
        )

    def values(self) -> dict[str, Any]:
        return {name: value for name, value in self.cleaned_data.items() if value is not KEEP}


@admin.register(Ping)
class PingAdmin(PageAdmin):
    page_template = "notifications/ping.html"
    list_display = ("what", "state", "place", "last_sent")
    search_fields = ("database_id",)
    search_help_text = _("Search by Database")
    add_label = _("Add a ping")
    empty_hint = _("A service outside that expects a ping notices also when this whole site is gone.")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[NamedChanges]:
        return NamedChanges

    @display(description=_("Database"), ordering="database_id")
    def what(self, ping: Any) -> str:
        return str(ping.names.get(ping.database_id, ping.database_id))

    @display(description=_("State"))
    def state(self, ping: Ping) -> SafeString:
        return target_badge(ping)

    @display(description=_("Last ping"), ordering="last_ok_at")
    def last_sent(self, ping: Ping) -> str:
        return distance(ping.last_ok_at)

    def page_routes(self) -> list[URLPattern]:
        return [
            self.post_route("test", self.test, self.change_role),
            self.form_route("edit", self.edit, self.change_role),
        ]

    def page_context(self, request: HttpRequest, obj: Ping) -> dict[str, Any]:
        return {
            "badge": target_badge(obj),
            "deliveries": with_badges(obj.deliveries.order_by("-id")[:20]),
            "name": dict(databases()).get(obj.database_id, obj.database_id),
            "edit_url": self.address(obj, "edit"),
            "delete_url": self.address(obj, "delete"),
            "check_url": self.address(obj, "test"),
        }

    def test(self, request: HttpRequest, ping: Ping) -> HttpResponse:
        report = try_ping(ping=ping)
        if "HX-Request" not in request.headers:
            return redirect(self.address(ping))
        return self.render(request, "notifications/test_report.html", report=report)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        self.refuse_unless(self.has_add_permission(request))
        form = PingForm(posted(request), ping=None)
        title = gettext("Add a ping")
        return self.form_page(request, form=form, save=lambda: save_ping(**form.values()), title=title)

    def edit(self, request: HttpRequest, ping: Ping) -> HttpResponse:
        form = PingForm(posted(request), ping=ping)
        return self.form_page(
            request,
            form=form,
            save=lambda: save_ping(database_id=ping.database_id, **form.values()),
            existing=ping,
            title=gettext("Edit the ping of %(name)s") % {"name": ping},
        )

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        self.refuse_unless(self.has_delete_permission(request))
        ping = self.object_or_404(request, object_id)
        if request.method == "POST":
            return self.delete_through(request, ping, lambda: delete_ping(ping=ping), gettext("The ping was removed."))
        consequences = [gettext("Who listens there will miss it: remove the check there too.")]
        return self.confirm_page(request, ping, title=gettext("Delete the ping?"), consequences=consequences)
