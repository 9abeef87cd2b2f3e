"""The page of a Database: what it is, when it is due, and whether it can be reached."""

from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from databases.admin.connection import ConnectionPages
from databases.admin.masking import can_mask, masking_page
from databases.admin.options import option_label
from databases.admin.policy import LABELS
from databases.admin.sentences import told
from databases.admin.words import words_of
from databases.models import Database, Policy
from databases.schedule import INHERIT, crons, next_runs, schedule_fault, timezone_fault
from databases.selectors import (
    address_of,
    can_be_followed,
    masking_of,
    next_runs_of,
    retention_of,
    schedule_of,
    site_policy,
)
from databases.services.check import check_database


class DatabasePages(ConnectionPages):
    page_template = "databases/page.html"

    def page_routes(self) -> list[URLPattern]:
        preview = self.admin_site.admin_view(require_safe(self.preview_schedule))
        return [
            *self.connection_routes(),
            path("preview-schedule/", preview, name="databases_database_preview_schedule"),
            self.post_route("check", self.check_connection, self.run_role),
            self.form_route("masking", self.masking, self.change_role),
        ]

    def page_context(self, request: HttpRequest, obj: Database) -> dict[str, Any]:
        policy = site_policy()
        return {
            "engine": words_of(obj.engine),
            "address": address_of(obj),
            "facts": _facts(obj),
            "secrets": [option_label(name.removeprefix("options.")) for name in obj.secret_names],
            "next_runs": next_runs_of(obj, policy, after=timezone.now()),
            "sentence": told(schedule_of(obj, policy)) if can_be_followed(obj, policy) else "",
            "inherits": obj.schedule == INHERIT,
            "limits": _limits(obj, policy),
            "paused": policy.paused,
            "check_url": self.address(obj, "check"),
            "can_mask": can_mask(obj),
            "masked": masking_of(obj),
            "masking_url": self.address(obj, "masking"),
        }

    def preview_schedule(self, request: HttpRequest) -> HttpResponse:
        """What the form says about the times while they are typed."""
        zone = request.GET.get("timezone") or "UTC"
        times = [line.strip() for line in request.GET.get("times", "").splitlines() if line.strip()]
        own = request.GET.get("schedule") == "own"
        schedule = crons(times if own else site_policy().schedule if request.GET.get("schedule") == INHERIT else None)
        fault = timezone_fault(zone) or (schedule_fault(schedule) if schedule else "")
        said: dict[str, Any] = {"fault": fault, "timezone": zone, "reader": timezone.get_current_timezone_name()}
        if not fault:
            due = next_runs(schedule, zone, after=timezone.now())
            said |= {"sentence": told(schedule), "next_runs": [at.astimezone(ZoneInfo(zone)) for at in due]}
        with timezone.override(None if fault else ZoneInfo(zone)):
            return self.render(request, "databases/schedule_preview.html", **said)

    def masking(self, request: HttpRequest, database: Database) -> HttpResponse:
        return masking_page(self, request, database)

    def check_connection(self, request: HttpRequest, database: Database) -> HttpResponse:
        """The report, for the place on the page that asked for it."""
        if "HX-Request" not in request.headers:
            return redirect(self.address(database))
        return self.render(request, "backupsite/check_report.html", report=check_database(database=database))


def _limits(database: Database, policy: Policy) -> list[tuple[Any, int, bool]]:
    """How long backups stay: label, number, and whether the site's policy says it; what is off is left out."""
    applying = retention_of(database, policy).items()
    return [(LABELS[name], value, getattr(database, name) is None) for name, value in applying if value]


def _facts(database: Database) -> list[tuple[Any, Any]]:
    """Connection and options as they are set, without secrets."""
    host = f"{database.host}:{database.port}" if database.port else database.host
    facts: list[tuple[Any, Any]] = [
        (gettext("Server"), host),
        (gettext("Database"), database.database_name),
        (gettext("User"), database.username),
    ]
    facts += [(option_label(name), _shown(value)) for name, value in database.options.items()]
    return [(name, value) for name, value in facts if value not in ("", None)]


def _shown(value: Any) -> Any:
    if isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, dict):
        return "\n".join(f"{name}: {text}" for name, text in value.items())
    return {True: gettext("yes"), False: gettext("no")}[value] if isinstance(value, bool) else value
