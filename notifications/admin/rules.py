"""Rules: which events go to which channel."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from jobs.admin.forms import LinesField, PageForm
from jobs.admin.pages import PageAdmin, posted
from jobs.templatetags.backupsite import span
from notifications.admin.shown import NamedChanges, database_choices, named, severity_badge
from notifications.kinds import KINDS, matches
from notifications.models import Channel, Rule, Severity
from notifications.services.save_rule import delete_rule, save_rule

NAMES = ("kinds", "min_severity", "databases", "group_s")


class RuleForm(PageForm):
    sections = (
        (_("Which events"), "", ("kinds", "min_severity", "databases")),
        (_("To whom"), "", ("channel", "group_s")),
    )

    kinds = LinesField(label=_("Kinds"), help_text=_("One a line; backup.* is the whole family, * is everything."))
    min_severity = forms.ChoiceField(
        choices=Severity.choices,
        label=_("From this severity"),
        help_text=_("Good news that ends something bad always goes out."),
    )
    databases = forms.MultipleChoiceField(
        required=False, label=_("Databases"), help_text=_("None chosen: all of them.")
    )
    group_s = forms.IntegerField(
        min_value=0,
        max_value=86400,
        label=_("Seconds to collect"),
        help_text=_("Events within so many seconds become one message. 0: at once."),
    )

    def __init__(self, *args: Any, rule: Rule, **kwargs: Any) -> None:
        initial = {name: getattr(rule, name) for name in NAMES}
        super().__init__(*args, **{"initial": {**initial, "channel": rule.channel_id}, **kwargs})
        known = database_choices()
        gone = [(pk, pk) for pk in rule.databases if pk not in dict(known)]
        self.fields["databases"].choices = [*known, *gone]  # type: ignore[attr-defined]
        channels = Channel.objects.values_list("pk", "name")
        self.fields["channel"] = forms.ChoiceField(choices=channels, label=_("Channel"))

    def values(self) -> dict[str, Any]:
        names = {"channel": "channel_id"}
        return {names.get(name, name): value for name, value in self.cleaned_data.items()}


@admin.register(Rule)
class RuleAdmin(PageAdmin):
    page_template = "notifications/rule.html"
    list_display = ("what", "from_severity", "whom", "which", "collects")
    empty_hint = _("A rule says which events go to a channel.")
    add_label = _("Add a rule")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[NamedChanges]:
        return NamedChanges

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rule]:
        return Rule.objects.select_related("channel")

    @display(description=_("Events"))
    def what(self, rule: Rule) -> str:
        return str(rule)

    @display(description=_("From"), ordering="min_severity")
    def from_severity(self, rule: Rule) -> SafeString:
        return severity_badge(rule.min_severity)

    @display(description=_("Channel"), ordering="channel__name")
    def whom(self, rule: Rule) -> str:
        return rule.channel.name

    @display(description=_("Databases"))
    def which(self, rule: Any) -> str:
        return ", ".join(rule.names.get(pk, pk) for pk in rule.databases) or gettext("all")

    @display(description=_("Collects for"), ordering="group_s")
    def collects(self, rule: Rule) -> str:
        return span(rule.group_s)

    def page_routes(self) -> list[URLPattern]:
        return [self.form_route("edit", self.edit, self.change_role)]

    def page_context(self, request: HttpRequest, obj: Rule) -> dict[str, Any]:
        return {
            "badge": severity_badge(obj.min_severity),
            "collects": span(obj.group_s),
            "databases": named(obj.databases),
            "kinds": [
                {"name": kind.name, "description": gettext(kind.description)}
                for kind in KINDS.values()
                if matches(kind.name, obj.kinds)
            ],
            "edit_url": self.address(obj, "edit"),
            "delete_url": self.address(obj, "delete"),
        }

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        self.refuse_unless(self.has_add_permission(request))
        return self._form(request, Rule(channel_id=request.GET.get("channel", "")), existing=None)

    def edit(self, request: HttpRequest, rule: Rule) -> HttpResponse:
        return self._form(request, rule, existing=rule)

    def _form(self, request: HttpRequest, row: Rule, existing: Rule | None) -> HttpResponse:
        form = RuleForm(posted(request), rule=row)

        def save() -> Rule:
            return save_rule(rule=row, values=form.values(), create=existing is None)

        title = gettext("Edit the rule") if existing else gettext("Add a rule")
        return self.form_page(request, form=form, save=save, existing=existing, title=title)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        self.refuse_unless(self.has_delete_permission(request))
        rule = self.object_or_404(request, object_id)
        if request.method == "POST":
            return self.delete_through(request, rule, lambda: delete_rule(rule=rule), gettext("The rule was removed."))
        consequences = [gettext("What it has put into the outbox is still sent.")]
        return self.confirm_page(request, rule, title=gettext("Delete the rule?"), consequences=consequences)
