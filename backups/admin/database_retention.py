"""Which backups of a Database would go, while its limits are typed. Reads only."""

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils import timezone

from backups.models import Backup
from backups.services.explain import explain_retention, limits_of
from databases.admin.form import KEEP_FIELDS
from databases.models import Database
from databases.selectors import site_policy
from jobs.admin.pages import PageAdmin
from jobs.models import Status

SHOWN = 5
MOST = 100_000


class LimitsForm(forms.Form):
    def __init__(self, data: Any) -> None:
        super().__init__(data)
        for name in KEEP_FIELDS:
            self.fields[name] = forms.IntegerField(required=False, min_value=0, max_value=MOST)


class RetentionPages(PageAdmin):
    """Mixed into the admin of Databases."""

    def retention_routes(self) -> list[URLPattern]:
        return [self.read_route("preview-retention", self.preview_retention, self.view_role)]

    def preview_retention(self, request: HttpRequest, database: Database) -> HttpResponse:
        form = LimitsForm(request.GET)
        said = retention_context(database, form.cleaned_data) if form.is_valid() else {"fault": True}
        return self.render(request, "backups/database_retention.html", **said)


def retention_context(database: Database, changes: dict[str, int | None] | None = None) -> dict[str, Any]:
    """What goes and what stays, of completed backups; the oldest of those that go are named."""
    limits = limits_of(database, site_policy(), changes)
    verdicts = explain_retention(database=database, limits=limits, now=timezone.now())
    done = [verdict for verdict in verdicts if verdict.fact.status == Status.COMPLETED]
    going = [verdict for verdict in done if verdict.goes]
    sizes = dict(Backup.objects.filter(pk__in=[v.fact.id for v in going[-500:]]).values_list("pk", "size"))
    leaving = [verdict.expires_at for verdict in done if verdict.expires_at and not verdict.goes]
    return {
        "staying": len(done) - len(going),
        "going": len(going),
        "freed": sum(size or 0 for size in sizes.values()) if len(going) <= len(sizes) else None,
        "first_to_go": [
            {"id": v.fact.id, "at": v.fact.finished_at, "why": v.reasons[0].removeprefix("goes: ")}
            for v in going[::-1][:SHOWN]
        ],
        "more": max(0, len(going) - SHOWN),
        "next_leaves": min(leaving, default=None),
    }
