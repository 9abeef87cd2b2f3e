"""The policy of exports: one page, and its form."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from backups.models import Destination
from exports.models import ExportPolicy
from exports.selectors import enabled_sources, export_policy, lacks_address
from exports.services.save_policy import save_export_policy
from jobs.admin.forms import PageForm
from jobs.admin.pages import PageAdmin, posted

MIB = 1 << 20
NUMBERS = {
    "creations_per_hour": _("Exports an hour"),
    "queries_per_quarter": _("Requests in 15 minutes"),
    "max_open": _("Open exports of a user"),
    "link_days": _("Days to fetch it"),
    "kept_days": _("Days of history"),
}
LEAST = {"kept_days": 0}
SWITCHES = {"enabled": _("Offered"), "redirect_to_store": _("Send to the store")}


class ExportPolicyForm(PageForm):
    shown_at = {"max_bytes": "max_mib"}
    sections = (
        (_("What users may ask for"), "", ("enabled", "creations_per_hour", "queries_per_quarter", "max_open")),
        (_("How much, and how long"), "", ("max_mib", "link_days", "kept_days")),
        (_("Where"), "", ("destination", "redirect_to_store")),
    )

    max_mib = forms.IntegerField(min_value=0, max_value=1 << 40, label=_("MiB of a user"))

    def __init__(self, *args: Any, policy: ExportPolicy, **kwargs: Any) -> None:
        initial = {name: getattr(policy, name) for name in (*NUMBERS, *SWITCHES)}
        kwargs["initial"] = {
            **initial,
            "max_mib": policy.max_bytes // MIB,
            "destination": policy.destination_id or "",
        }
        super().__init__(*args, **kwargs)
        self.fields["max_mib"].help_text = _help("max_bytes")
        for name, label in NUMBERS.items():
            self.fields[name] = forms.IntegerField(
                min_value=LEAST.get(name, 1), max_value=100_000, label=label, help_text=_help(name)
            )
        for name, label in SWITCHES.items():
            self.fields[name] = forms.BooleanField(required=False, label=label, help_text=_help(name))
        choices = [("", gettext("The default")), *Destination.objects.values_list("pk", "name")]
        self.fields["destination"] = forms.ChoiceField(required=False, choices=choices, label=_("Destination"))

    def values(self) -> dict[str, Any]:
        values = dict(self.cleaned_data)
        values["max_bytes"] = values.pop("max_mib") * MIB
        values["destination_id"] = values.pop("destination") or None
        return values


@admin.register(ExportPolicy)
class ExportPolicyAdmin(PageAdmin):
    """There is one row, made when it is first saved; its list is its page."""

    page_template = "exports/policy.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> ExportPolicy | None:
        return export_policy() if object_id == "1" else None

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        self.refuse_unless(self.has_view_permission(request))
        return redirect(self.address(export_policy()))

    def page_routes(self) -> list[URLPattern]:
        return [self.form_route("edit", self.edit, self.change_role)]

    def page_context(self, request: HttpRequest, obj: ExportPolicy) -> dict[str, Any]:
        return {
            "title": _("Policy of exports"),
            "destination": obj.destination or Destination.objects.filter(is_default=True).first(),
            "sources": enabled_sources().count(),
            "no_address": lacks_address(),
            "public_url": reverse("exports-page"),
            "edit_url": self.address(obj, "edit"),
        }

    def edit(self, request: HttpRequest, policy: ExportPolicy) -> HttpResponse:
        form = ExportPolicyForm(posted(request), policy=policy)
        return self.form_page(
            request,
            form=form,
            save=lambda: save_export_policy(values=form.values()),
            title=gettext("Edit the policy of exports"),
            existing=None if policy._state.adding else policy,
            back=self.address(policy),
        )


def _help(name: str) -> Any:
    return ExportPolicy._meta.get_field(name).help_text  # type: ignore[union-attr]
