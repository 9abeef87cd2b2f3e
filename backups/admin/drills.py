"""Drills: what was proven, how it goes, and the report to read, print and keep."""

import json
from datetime import UTC
from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesCheckboxFilter
from unfold.decorators import display

from backups.admin.drill_forms import IdentityForm
from backups.admin.filters import DatabaseFilter
from backups.admin.runs import RunAdmin
from backups.models import Backup, Drill
from backups.services.sign_report import key_id
from backups.services.wait_for_identity import give_identity
from databases.models import Database
from jobs.admin.pages import posted
from jobs.roles import Role
from jobs.selectors import phase_times
from jobs.templatetags.backupsite import two_lines

PHASES = (
    ("scratch", _("Make the scratch target")),
    ("restore", _("Read, decode and load")),
    ("finish", _("Finish the restore")),
    ("compare", _("Compare with the manifest")),
    ("assert", _("Ask what is asserted")),
    ("tear_down", _("Remove the scratch target")),
)

GIVING = _(
    "Its schedule came, and nothing on this site opens the backups. The drill begins with the backup that its plan "
    "picks now."
)


@admin.register(Drill)
class DrillAdmin(RunAdmin):
    body_template = "backups/drill_body.html"
    log_route = "api:drill-log"
    phases = PHASES
    list_display = ("what", "state", "backup_shown", "asked", "took", "origin")
    list_filter = (DatabaseFilter, ("status", ChoicesCheckboxFilter), ("trigger", ChoicesCheckboxFilter))
    search_fields = ("id", "backup_label", "database_name")
    empty_hint = _("Open a Database and choose Drill now.")
    search_help_text = _("Search by id, backup or Database")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("backup__manifest", "report")

    @display(description=_("Drill of"), ordering="database_name")
    def what(self, drill: Drill) -> SafeString:
        return two_lines(drill.database_name, drill.pk)

    @display(description=_("Started by"), ordering="trigger")
    def origin(self, drill: Drill) -> str:
        return drill.get_trigger_display()

    def page_routes(self) -> list[URLPattern]:
        return [
            *super().page_routes(),
            self.read_route("report", self.report, self.view_role),
            self.form_route("identity", self.identity, Role.OPERATOR),
        ]

    def page_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        return {
            **super().page_context(request, obj),
            "phases": _phases(obj.report),
            "noted": bool(phase_times(obj)),
            "database_exists": Database.objects.filter(pk=obj.database_id).exists(),
            "report_url": self.address(obj, "report"),
            "identity_url": self.address(obj, "identity"),
            "json_url": reverse("api:drill-report", args=[obj.pk]),
            "signature_url": reverse("api:drill-signature", args=[obj.pk]),
        }

    def identity(self, request: HttpRequest, drill: Drill) -> HttpResponse:
        form = IdentityForm(posted(request), backup=drill.backup or Backup(encryption="age"))
        if request.method == "POST" and form.is_valid():
            given = form.save_through(lambda: give_identity(drill=drill, identity=form.identity(), user=request.user))
            if given is not None:
                return redirect(self.address(drill))
        return self.render(
            request,
            "backupsite/form_page.html",
            form=form,
            title=gettext("Give the key to %(drill)s") % {"drill": drill.pk},
            introduction=GIVING,
            object=drill,
            back=self.address(drill),
            submit=gettext("Begin"),
            refused=gettext("Nothing was started."),
        )

    def report(self, request: HttpRequest, drill: Drill) -> HttpResponse:
        """One page by itself: it is saved, printed and shown to auditors."""
        if not drill.signature:
            raise Http404
        said = drill.report
        context = {
            "drill": drill,
            "report": said,
            "assertions": [{**one, "query": _text(one["query"])} for one in said["assertions"]],
            "differences": _differences(said),
            "started_at": parse_datetime(said["drill"]["started_at"]),
            "backup_at": parse_datetime(said["backup"]["started_at"]),
            "phases": _phases(said),
            "own_key": said["signed_by"] == key_id(),
        }
        with timezone.override(UTC):  # it is kept: alike for whoever took it
            return render(request, "backups/drill_report.html", context)


def _phases(report: dict[str, Any]) -> list[tuple[Any, float]]:
    """In their order, which not every database keeps."""
    seconds = report.get("seconds", {})
    return [(label, seconds[name]) for name, label in PHASES if name in seconds]


def _differences(report: dict[str, Any]) -> list[dict[str, Any]]:
    return (report["comparison"] or {}).get("differences", [])


def _text(query: Any) -> str:
    return query if isinstance(query, str) else json.dumps(query)
