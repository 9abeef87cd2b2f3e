"""Mutes: silence for a time, by whom and why."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from jobs.admin.forms import LinesField, PageForm
from jobs.admin.moments import MomentField, in_zone
from jobs.admin.pages import PageAdmin, posted, tell
from jobs.roles import Role
from jobs.templatetags.backupsite import distance, moment, two_lines
from jobs.templatetags.parts import state_badge
from notifications.admin.shown import NamedChanges, database_choices
from notifications.models import Mute
from notifications.registry import databases
from notifications.services.save_mute import mute, unmute


class MuteForm(PageForm):
    sections = (
        (_("What"), _("Events are still recorded; nobody is told of them."), ("scope", "database_id", "kinds")),
        (_("How long"), "", ("until", "reason")),
    )

    scope = forms.ChoiceField(choices=Mute.Scope.choices, label=_("Scope"))
    database_id = forms.ChoiceField(required=False, label=_("Database"))
    kinds = LinesField(
        label=_("Kinds"), help_text=_("For the scope “some kinds”: one a line, such as backup.overdue or drill.*")
    )
    until = MomentField(label=_("Until"), help_text=in_zone(_("In %(zone)s.")))
    reason = forms.CharField(required=False, max_length=300, label=_("Reason"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["database_id"].choices = [("", "–"), *database_choices()]  # type: ignore[attr-defined]


@admin.register(Mute)
class MuteAdmin(PageAdmin):
    change_role = Role.OPERATOR
    page_template = "notifications/mute.html"
    list_display = ("what", "state", "ends", "by", "silenced")
    add_label = _("Mute")
    empty_hint = _("During works on a server, mute its Databases until you are done.")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[NamedChanges]:
        return NamedChanges

    def get_queryset(self, request: HttpRequest) -> QuerySet[Mute]:
        return Mute.objects.select_related("created_by").annotate(silenced_count=Count("events"))

    @display(description=_("What"))
    def what(self, row: Any) -> SafeString:
        return two_lines(row.names.get(row.database_id, str(row)), row.reason)

    @display(description=_("State"))
    def state(self, row: Mute) -> SafeString:
        return mute_badge(row)

    @display(description=_("Until"), ordering="until")
    def ends(self, row: Mute) -> SafeString:
        return two_lines(moment(row.until), distance(row.until))

    @display(description=_("By"), ordering="created_by")
    def by(self, row: Mute) -> str:
        return str(row.created_by or "–")

    @display(description=_("Events"))
    def silenced(self, row: Any) -> int:
        return int(row.silenced_count)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # an ended one stays as history

    def page_routes(self) -> list[URLPattern]:
        return [self.post_route("end", self.end, self.change_role)]

    def page_context(self, request: HttpRequest, obj: Mute) -> dict[str, Any]:
        return {
            "name": dict(databases()).get(obj.database_id, str(obj)),
            "badge": mute_badge(obj),
            "holds": obj.until > timezone.now(),
            "end_url": self.address(obj, "end"),
            "events": obj.events.all()[:50],
        }

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        self.refuse_unless(self.has_add_permission(request))
        form = MuteForm(posted(request))

        def save() -> Mute:
            return mute(**form.cleaned_data, user=request.user)

        return self.form_page(request, form=form, save=save, title=gettext("Mute"))

    def end(self, request: HttpRequest, row: Mute) -> HttpResponse:
        tell(request, lambda: unmute(mute=row), gettext("Events are told again."))
        self.log_change(request, row, [{"changed": {"fields": ["until"]}}])
        return redirect(self.address(row))


def mute_badge(row: Mute) -> SafeString:
    if row.until > timezone.now():
        return state_badge("warn", "notifications_off", gettext("muted"))
    return state_badge("quiet", "notifications", gettext("ended"))
