"""The site's policy: one page, and the form of what Databases inherit."""

import re
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils.translation import gettext, gettext_lazy

from databases.admin.sentences import told
from databases.blackouts import DAYS
from databases.models import Compression, Database, Policy, Sensitivity
from databases.schedule import INHERIT, crons
from databases.selectors import LIMITS, TIERS, site_policy
from databases.services.save_policy import save_policy
from jobs.admin.forms import LinesField, PageForm, Section
from jobs.admin.pages import PageAdmin, posted

LABELS = {
    "retention_days": gettext_lazy("Days to keep"),
    "max_backups": gettext_lazy("Backups to keep"),
    "keep_daily": gettext_lazy("Daily"),
    "keep_weekly": gettext_lazy("Weekly"),
    "keep_monthly": gettext_lazy("Monthly"),
    "keep_yearly": gettext_lazy("Yearly"),
    "failed_days": gettext_lazy("Days to keep failures"),
}
PROOF = {
    "verify_within_days": gettext_lazy("Days to read all copies again"),
    "drill_within_days": gettext_lazy("Days to prove every Database"),
}
PROVING = gettext_lazy(
    "Every stored copy is read again in the background; what is not proven by a drill in time is told. 0 is off."
)
UNLIKE = gettext_lazy("Unlike those before")
HELP = {column.name: column.help_text for column in Policy._meta.concrete_fields}
KEEPING = gettext_lazy(
    "A completed backup past one of the first two goes, unless a tier, a lock or a proof keeps it. 0 is off. "
    "The last good backup always stays, and nothing goes while newer ones only fail."
)
WINDOW = re.compile(r"(\d\d?:\d\d)-(\d\d?:\d\d)")


class WindowsField(LinesField):
    """Cleans to blackouts: `08:00-18:30`, and after it the days and the timezone where they matter."""

    def prepare_value(self, value: Any) -> Any:
        windows = [_line(one) if isinstance(one, dict) else one for one in value] if isinstance(value, list) else value
        return super().prepare_value(windows)

    def to_python(self, value: Any) -> Any:
        return [_window(line) for line in super().to_python(value)]

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return super().has_changed(initial, data)
        except ValidationError:
            return True


class PolicyForm(PageForm):
    times = LinesField(
        label=gettext_lazy("Schedule"),
        help_text=gettext_lazy(
            "Cron expressions, one a line: minute, hour, day of month, month, day of week. "
            "Empty: Databases without a schedule of their own are backed up on demand only."
        ),
    )
    jitter_s = forms.IntegerField(
        min_value=0,
        max_value=24 * 3600,
        label=gettext_lazy("Spread"),
        help_text=gettext_lazy("Seconds: scheduled backups start up to so much later, so that not all begin at once."),
    )
    blackouts = WindowsField(
        label=gettext_lazy("Blackouts"),
        help_text=gettext_lazy(
            "When no schedule starts a backup, one a line: '08:00-18:30', or '08:00-18:30 mon tue Europe/Berlin'."
            " UTC and every day unless said."
        ),
    )
    paused = forms.BooleanField(
        required=False, label=gettext_lazy("Paused"), help_text=gettext_lazy("No schedule starts a backup at all.")
    )
    anomalies = forms.ChoiceField(choices=Sensitivity.choices, label=UNLIKE, help_text=HELP["anomalies"])
    compression = forms.ChoiceField(choices=Compression.choices, label=gettext_lazy("Compression"))

    shown_at = {"schedule": "times"}

    def __init__(self, *args: Any, policy: Policy, **kwargs: Any) -> None:
        names = (*LABELS, *PROOF, "jitter_s", "blackouts", "paused", "compression", "anomalies")
        kwargs["initial"] = {**{name: getattr(policy, name) for name in names}, "times": crons(policy.schedule)}
        super().__init__(*args, **kwargs)
        for name, label in (LABELS | PROOF).items():
            self.fields[name] = forms.IntegerField(min_value=0, max_value=100_000, label=label, help_text=HELP[name])
        self.sections: tuple[Section, ...] = (
            (gettext("When"), "", ("times", "jitter_s", "blackouts", "paused")),
            (gettext("How long"), KEEPING, tuple(LABELS)),
            (gettext("Proof"), PROVING, (*PROOF, "anomalies")),
            (gettext("How"), "", ("compression",)),
        )

    def values(self) -> dict[str, Any]:
        values = dict(self.cleaned_data)
        times = values.pop("times")
        return {**values, "schedule": (times[0] if len(times) == 1 else times) or None}


@admin.register(Policy)
class PolicyAdmin(PageAdmin):
    """There is one row, made when it is first saved; its list is its page."""

    page_template = "databases/policy.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Policy | None:
        return site_policy() if object_id == "1" else None

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        self.refuse_unless(self.has_view_permission(request))
        return redirect(self.address(site_policy()))

    def page_routes(self) -> list[URLPattern]:
        return [self.form_route("edit", self.edit, self.change_role)]

    def page_context(self, request: HttpRequest, obj: Policy) -> dict[str, Any]:
        return {
            "title": gettext("Policy"),
            "sentence": told(obj.schedule),
            "windows": [_line(window) for window in obj.blackouts],
            "limits": _with_users(obj),
            "proof": [{"label": label, "value": getattr(obj, name)} for name, label in PROOF.items()],
            "anomalies": {"label": UNLIKE, "value": obj.get_anomalies_display()},
            "scheduled": Database.objects.filter(schedule=INHERIT).count(),
            "databases": Database.objects.count(),
            "edit_url": self.address(obj, "edit"),
        }

    def edit(self, request: HttpRequest, policy: Policy) -> HttpResponse:
        form = PolicyForm(posted(request), policy=policy)
        existing = None if policy._state.adding else policy
        return self.form_page(
            request,
            form=form,
            save=lambda: save_policy(values=form.values()),
            title=gettext("Edit the policy"),
            existing=existing,
            back=self.address(policy),
        )


def _with_users(policy: Policy) -> list[dict[str, Any]]:
    """Each limit with how many Databases inherit it; failures have the site's age everywhere."""
    names = (*LIMITS, *TIERS)
    users = Database.objects.aggregate(**{name: Count("pk", filter=Q(**{f"{name}__isnull": True})) for name in names})
    return [
        {"label": label, "value": getattr(policy, name), "users": users.get(name)} for name, label in LABELS.items()
    ]


def _line(window: dict[str, Any]) -> str:
    return " ".join(
        [f"{window['from']}-{window['to']}", *window.get("days", ()), *filter(None, [window.get("timezone")])]
    )


def _window(line: str) -> dict[str, Any]:
    """Raises ValidationError; what its parts mean is checked by the service."""
    times, *words = line.split()
    if not (found := WINDOW.fullmatch(times)):
        raise ValidationError(gettext("%(line)r does not begin with two times such as 08:00-18:30.") % {"line": line})
    zones = [word for word in words if word.lower() not in DAYS]
    days = [word.lower() for word in words if word.lower() in DAYS]
    if len(zones) > 1:
        text = gettext("%(zone)r is neither a day (mon, tue, ...) nor the only timezone of %(line)r.")
        raise ValidationError(text % {"zone": zones[0], "line": line})
    named = {"days": days} if days else {}
    return {"from": found[1], "to": found[2], **named, **({"timezone": zones[0]} if zones else {})}
