"""The page of a Database: what it is, when it is due, and whether it can be reached."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils import timezone

from databases.admin.options import option_label
from databases.admin.words import words_of
from databases.models import Database
from databases.schedule import next_runs
from databases.selectors import address_of
from databases.services.check import check_database
from jobs.admin.pages import PageAdmin


class DatabasePages(PageAdmin):
    page_template = "databases/page.html"

    def page_routes(self) -> list[URLPattern]:
        return [self.post_route("check", self.check_connection, self.run_role)]

    def page_context(self, request: HttpRequest, obj: Database) -> dict[str, Any]:
        return {
            "engine": words_of(obj.engine),
            "address": address_of(obj),
            "facts": _facts(obj),
            "secrets": [option_label(name.removeprefix("options.")) for name in obj.secret_names],
            "next_runs": next_runs(obj.schedule, obj.timezone, after=timezone.now()) if obj.enabled else [],
            "check_url": self.address(obj, "check"),
        }

    def check_connection(self, request: HttpRequest, database: Database) -> HttpResponse:
        """The report, for the place on the page that asked for it."""
        if "HX-Request" not in request.headers:
            return redirect(self.address(database))
        return self.render(request, "backupsite/check_report.html", report=check_database(database=database))


def _facts(database: Database) -> list[tuple[str, Any]]:
    """Connection and options as they are set, without secrets."""
    host = f"{database.host}:{database.port}" if database.port else database.host
    facts = [("Server", host), ("Database", database.database_name), ("User", database.username)]
    facts += [(option_label(name), _shown(value)) for name, value in database.options.items()]
    return [(name, value) for name, value in facts if value not in ("", None)]


def _shown(value: Any) -> Any:
    if isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, dict):
        return "\n".join(f"{name}: {text}" for name, text in value.items())
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
