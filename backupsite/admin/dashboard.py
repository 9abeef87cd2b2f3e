"""The admin's first page, the part of it that is polled, and muting from there."""

from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from audit.selectors import recent_entries
from backupsite.dashboard.page import read_dashboard
from backupsite.dashboard.running import running
from databases.models import Database
from jobs.roles import Role, role_of
from notifications.models import Mute
from notifications.services.save_mute import mute

HOURS = {"4": 4, "24": 24, "168": 168}
ENTRIES = 5


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the first page shows; nothing to who has no role."""
    role = role_of(request.user)
    context |= {"title": _("Dashboard"), "may_run": role >= Role.OPERATOR, "may_change": role >= Role.ADMIN}
    if role >= Role.VIEWER:
        context["dashboard"] = read_dashboard(role=role)
        context["entries"] = recent_entries(limit=ENTRIES) if role >= Role.ADMIN else []
    return context


def routes() -> list[URLPattern]:
    """Addresses under /admin/ that belong to no table."""
    polled, muted = (admin.site.admin_view(view) for view in (poll_running, mute_database))
    return [
        path("running/", never_cache(polled), name="dashboard_running"),
        path("mute/<str:database_id>/", muted, name="dashboard_mute"),
    ]


@require_safe
def poll_running(request: HttpRequest) -> HttpResponse:
    """204 while nothing has changed since the version that the page shows."""
    role = role_of(request.user)
    if role < Role.VIEWER:
        raise PermissionDenied
    now = running()
    if request.GET.get("seen") == now.version:
        return HttpResponse(status=204)
    return render(request, "backupsite/dashboard/running.html", {"now": now, "may_run": role >= Role.OPERATOR})


@require_POST
def mute_database(request: HttpRequest, database_id: str) -> HttpResponse:
    """Tells nobody of this Database for the hours that were chosen."""
    if role_of(request.user) < Role.OPERATOR:
        raise PermissionDenied
    database = get_object_or_404(Database, pk=database_id)
    until = timezone.now() + timedelta(hours=HOURS.get(request.POST.get("hours", ""), 4))
    mute(scope=Mute.Scope.DATABASE, until=until, database_id=database.pk, user=request.user)
    told = _("%(name)s is muted: what happens is recorded, and nobody is told.")
    messages.success(request, told % {"name": database})
    return redirect("admin:index")
