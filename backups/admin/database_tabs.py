"""The tabs of a Database's page: its backups, its drills, its schedule, and who changed it."""

from typing import Any

from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.translation import gettext_lazy as _

from audit.admin.entries import changes_of
from audit.models import Entry
from backups.admin.database_drills import DrillPages
from backups.admin.database_list import engine_icon
from backups.admin.database_retention import retention_context
from backups.models import Backup, Drill, Slot
from backups.selectors import backups_with_copies
from backups.size_trend import recent_sizes
from databases.admin.pages import DatabasePages
from databases.admin.words import words_of
from databases.models import Database
from jobs.roles import Role, role_of
from jobs.templatetags.backupsite import size

A_PAGE = 25
DUE_TIMES = 15
MOST_BULKS = 200
SIZES = 40
TABS = (
    ("change", _("Overview"), Role.VIEWER),
    ("backups", _("Backups"), Role.VIEWER),
    ("drills", _("Drills"), Role.VIEWER),
    ("schedule", _("Schedule"), Role.VIEWER),
    ("changes", _("Changes"), Role.ADMIN),
)
MANY = ("database.pause_all", "database.resume_all")


class TabPages(DrillPages, DatabasePages):
    """Mixed into the admin of Databases. Each tab has an address of its own and is read only."""

    def tab_routes(self) -> list[URLPattern]:
        views = {
            "backups": self.backups_tab,
            "drills": self.drills_tab,
            "schedule": self.schedule_tab,
            "changes": self.changes_tab,
        }
        return [self.read_route(name, views[name], role) for name, _label, role in TABS if name in views]

    def tabs(self, request: HttpRequest, database: Database, now: str) -> list[dict[str, Any]]:
        role = role_of(request.user)
        drillable = "drill" in words_of(database.engine)["supports"]
        return [
            {"label": label, "href": self.address(database, name), "now": name == now}
            for name, label, least in TABS
            if role >= least and (drillable or name != "drills")
        ]

    def head_context(self, request: HttpRequest, database: Database) -> dict[str, Any]:
        """What every tab shows above and beside its own."""
        names = ("back-up", "back-up-selective", "edit", "clone", "delete")
        urls = {f"{name.replace('-', '_')}_url": self.address(database, name) for name in names}
        return {**DatabasePages.page_context(self, request, database), **urls, "icon": engine_icon(database.engine)}

    def _tab(self, request: HttpRequest, database: Database, name: str, **context: Any) -> HttpResponse:
        shown = {**self.head_context(request, database), **context, "tabs": self.tabs(request, database, name)}
        return self.render(request, f"backups/database_tab_{name}.html", object=database, title=str(database), **shown)

    def backups_tab(self, request: HttpRequest, database: Database) -> HttpResponse:
        sizes = recent_sizes([database.pk], count=SIZES)[database.pk]
        rows = backups_with_copies().filter(database=database)
        return self._tab(
            request,
            database,
            "backups",
            rows=_page_of(rows, request),
            sizes=sizes,
            smallest=size(min(sizes)) if sizes else "",
            largest=size(max(sizes)) if sizes else "",
            proven=Backup.objects.filter(database=database, proven_at__isnull=False).count(),
        )

    def drills_tab(self, request: HttpRequest, database: Database) -> HttpResponse:
        runs = Drill.objects.filter(database=database).defer("report").order_by("-created_at", "-pk")
        return self._tab(request, database, "drills", rows=_page_of(runs, request), **self.drill_context(database))

    def schedule_tab(self, request: HttpRequest, database: Database) -> HttpResponse:
        slots = Slot.objects.filter(database=database).select_related("backup").defer("backup__manifest")
        return self._tab(request, database, "schedule", slots=slots[:DUE_TIMES], retention=retention_context(database))

    def changes_tab(self, request: HttpRequest, database: Database) -> HttpResponse:
        page = _page_of(_entries_about(database), request)
        entries = [{"entry": entry, "changes": changes_of(entry)} for entry in page]
        return self._tab(request, database, "changes", rows=page, entries=entries)


def _page_of(rows: Any, request: HttpRequest) -> Any:
    return Paginator(rows, A_PAGE).get_page(request.GET.get("page"))


def _entries_about(database: Database) -> Any:
    """Those that name it, and those about many of which it was one."""
    many = Entry.objects.filter(action__in=MANY).order_by("-id").values_list("pk", "changes")[:MOST_BULKS]
    among = [pk for pk, changes in many if any(_is_of(change, database) for change in changes)]
    named = Q(object_type="database", object_id=database.pk)
    return Entry.objects.filter(named | Q(pk__in=among)).order_by("-id")


def _is_of(change: dict[str, Any], database: Database) -> bool:
    return change.get("type") == "database" and change.get("id") == database.pk
