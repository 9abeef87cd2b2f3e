"""The policy of packages: one page, and its form."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from backups.models import Destination
from databases.admin.sentences import told
from databases.models import Database
from databases.schedule import crons, next_runs
from jobs.admin.forms import LinesField, PageForm
from jobs.admin.pages import PageAdmin, posted
from packages.models import Compression, OnMissing, PackagePolicy, PackageSlot
from packages.selectors import package_policy
from packages.services.save_policy import save_package_policy

NAMES = ("timezone", "compression", "on_missing", "retention_days", "max_packages")
KEEPING = _("A completed package past either goes. 0 is off. The newest one always stays.")


class PackagePolicyForm(PageForm):
    shown_at = {"schedule": "times"}
    sections = (
        (_("When"), "", ("times", "timezone")),
        (_("How long"), KEEPING, ("retention_days", "max_packages")),
        (_("How"), "", ("compression", "on_missing", "destination")),
    )

    times = LinesField(
        label=_("Schedule"),
        help_text=_(
            "Cron expressions, one a line: minute, hour, day of month, month, day of week. "
            "Empty: packages are made on demand only."
        ),
    )
    timezone = forms.CharField(
        max_length=63, label=_("Timezone"), help_text=_("The times are meant in this IANA timezone.")
    )
    retention_days = forms.IntegerField(min_value=0, max_value=100_000, label=_("Days to keep"))
    max_packages = forms.IntegerField(min_value=0, max_value=100_000, label=_("Packages to keep"))
    compression = forms.ChoiceField(choices=Compression.choices, label=_("Format"))
    on_missing = forms.ChoiceField(choices=OnMissing.choices, label=_("Where a backup is missing"))

    def __init__(self, *args: Any, policy: PackagePolicy, **kwargs: Any) -> None:
        initial = {name: getattr(policy, name) for name in NAMES}
        kwargs["initial"] = {**initial, "times": crons(policy.schedule), "destination": policy.destination_id or ""}
        super().__init__(*args, **kwargs)
        choices = [("", gettext("The default")), *Destination.objects.values_list("pk", "name")]
        self.fields["destination"] = forms.ChoiceField(required=False, choices=choices, label=gettext("Destination"))

    def values(self) -> dict[str, Any]:
        values = dict(self.cleaned_data)
        times = values.pop("times")
        schedule = (times[0] if len(times) == 1 else times) or None
        return {**values, "schedule": schedule, "destination": values["destination"] or None}


@admin.register(PackagePolicy)
class PackagePolicyAdmin(PageAdmin):
    """There is one row, made when it is first saved; its list is its page."""

    page_template = "packages/policy.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> PackagePolicy | None:
        return package_policy() if object_id == "1" else None

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        self.refuse_unless(self.has_view_permission(request))
        return redirect(self.address(package_policy()))

    def page_routes(self) -> list[URLPattern]:
        return [self.form_route("edit", self.edit, self.change_role)]

    def page_context(self, request: HttpRequest, obj: PackagePolicy) -> dict[str, Any]:
        return {
            "title": _("Policy of packages"),
            "sentence": told(obj.schedule),
            "next_runs": next_runs(obj.schedule, obj.timezone, after=timezone.now()),
            "destination": obj.destination or Destination.objects.filter(is_default=True).first(),
            "packaged": Database.objects.filter(package=True).count(),
            "databases": Database.objects.count(),
            "slots": PackageSlot.objects.select_related("package").defer("package__manifest")[:10],
            "edit_url": self.address(obj, "edit"),
        }

    def edit(self, request: HttpRequest, policy: PackagePolicy) -> HttpResponse:
        form = PackagePolicyForm(posted(request), policy=policy)
        return self.form_page(
            request,
            form=form,
            save=lambda: save_package_policy(values=form.values()),
            title=gettext("Edit the policy of packages"),
            existing=None if policy._state.adding else policy,
            back=self.address(policy),
        )
