"""One's own account: who one is here, what protects the login, and where one is logged in."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.addresses import browser_words
from accounts.models import Identity, Session
from accounts.selectors import account_of, needs_second_factor, recovery_codes_left, sessions_of
from accounts.services.sessions import GATE, end_session, end_sessions
from audit.services.draft import say
from backupsite.api.models import ApiKey
from backupsite.timezones import wants_utc
from jobs.roles import role_of


def show(request: HttpRequest, template: str, **context: Any) -> HttpResponse:
    """A page in the admin's frame; without the menu while there is something to do first."""
    frame = {**admin.site.each_context(request), "gated": bool(request.session.get(GATE))}
    frame["is_nav_sidebar_enabled"] = frame["is_nav_sidebar_enabled"] and not frame["gated"]
    return render(request, template, {**frame, **context})


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    user: Any = request.user  # who is logged in: the admin's pages ask for that
    return show(
        request,
        "accounts/overview.html",
        title=_("My account"),
        account=account_of(user),
        role=role_of(user).name.lower(),
        required=needs_second_factor(user),
        codes_left=recovery_codes_left(user),
        identity=Identity.objects.filter(user_id=user.pk).first(),
        sessions=shown_sessions(user, request.session.session_key),
        in_utc=wants_utc(request),
        keys=ApiKey.objects.filter(created_by_id=user.pk, revoked_at__isnull=True)[:20],
    )


def shown_sessions(user: Any, own: str | None = None) -> list[dict[str, Any]]:
    """The sessions of a user for a page, one's own first."""
    rows = [{"row": row, "browser": browser_words(row.agent), "own": row.key == own} for row in sessions_of(user)]
    return sorted(rows, key=lambda row: not row["own"])


@require_POST
def end(request: HttpRequest, number: int) -> HttpResponse:
    session = get_object_or_404(Session, pk=number, user_id=request.user.pk)
    with translation.override("en"):  # the audit is English, whoever reads the page
        say(action="session.end", object_type="session", object_name=browser_words(session.agent))
    end_session(session=session)
    messages.success(request, _("That browser is logged out."))
    return redirect("account")


@require_POST
def end_others(request: HttpRequest) -> HttpResponse:
    say(action="session.end-others")
    end_sessions(user=request.user, but=request.session.session_key)
    messages.success(request, _("Every other browser and program of yours is logged out."))
    return redirect("account")
