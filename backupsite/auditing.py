"""The one place where everything that people and programs do over HTTP is put into the audit."""

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.contrib import admin
from django.db import OperationalError
from django.http import HttpRequest, HttpResponseBase

from accounts.addresses import client_address
from accounts.services.sessions import VIA
from audit.models import Entry
from audit.services.draft import Draft, drafting
from audit.services.record import record
from backupsite.api.models import ApiKey
from backupsite.api.permissions import role_of_request
from jobs.roles import Role, role_of

logger = logging.getLogger(__name__)

SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")
# POSTs that look only, or that a program repeats by itself.
QUIET = frozenset({"databases_database_read_connection", "token-refresh", "jsi18n", "set_language"})
# What end users do with their own data: who asked is personal, and forgotten with it.
OWN = frozenset(
    {"own-export-list", "own-export-detail", "own-export-cancel", "own-export-revoke-link"}
    | {"exports-session", "exports-sign-out", "exports-jobs"}
)
SIGNING_IN = frozenset({"token", "account-login", "account-login-code"})
READ_AS = {"partial_update": "change", "update": "change", "destroy": "delete", "edit": "change", "add": "create"}


class AuditMiddleware:
    """Every request that may change something, and every download, however it ended: before the answer leaves."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.method in SAFE:
            response = self.get_response(request)
            if _is_download(request) and response.status_code < 400:
                _write(request, response, Draft())
            return response
        with drafting() as draft:
            before = request.user if request.session.session_key else None  # who logs out is gone afterwards
            if before is not None:
                before.pk  # noqa: B018  read now: it is loaded when first asked
            response = self.get_response(request)
            nobodys = not getattr(before, "is_authenticated", False) and _is_knocking(request, response, draft)
            if not nobodys and _is_worth_it(request, response, draft):
                _write(request, response, draft, before)
        return response


def _is_download(request: HttpRequest) -> bool:
    name = request.resolver_match.url_name if request.resolver_match else None
    return bool(name) and str(name).rpartition("-")[2] in ("download", "link") and request.method == "GET"


def _is_worth_it(request: HttpRequest, response: HttpResponseBase, draft: Draft) -> bool:
    """Not what has no address, and not a form that is shown again because something in it was wrong."""
    match = request.resolver_match
    if match is None or match.url_name in QUIET | OWN or match.url_name is None:
        return False
    shown_again = request.path.startswith("/admin") and response.status_code == 200 and match.url_name != "logout"
    return not shown_again or bool(draft.changes or draft.said)


def _is_knocking(request: HttpRequest, response: HttpResponseBase, draft: Draft) -> bool:
    """Nobody who is known, and nothing came of it: whoever likes could fill the audit. Logins are limited in rate."""
    known = request.user.is_authenticated or getattr(request, "auth", None) is not None
    if known or draft.changes or draft.said:
        return False
    name = request.resolver_match.url_name if request.resolver_match else None
    return name not in SIGNING_IN or response.status_code == HTTPStatus.TOO_MANY_REQUESTS


def _write(request: HttpRequest, response: HttpResponseBase, draft: Draft, before: Any = None) -> None:
    values = {**_who(request, before), **_what(request, draft), **_outcome(request, response)}
    try:
        record(**values, address=client_address(request), draft=draft)
    except OperationalError:  # a full disk: the answer stands, and who asked is told that
        logger.exception("this is not in the audit: %s", values)


def _who(request: HttpRequest, before: Any) -> dict[str, Any]:
    user = request.user if request.user.is_authenticated or before is None else before
    key = getattr(request, "auth", None)
    values: dict[str, Any] = {"via": Entry.Via.TOKEN if key else Entry.Via.ADMIN}
    if isinstance(key, ApiKey):
        values |= {"via": Entry.Via.KEY, "through": f"{key.name} ({key.pk})"}
        role = role_of_request(request)  # type: ignore[arg-type]
    else:
        role = role_of(user)
        values["through"] = request.session.get(VIA, "") if not key and request.session.session_key else ""
    if user.is_authenticated:
        values |= {"user_id": user.pk, "who": user.get_username()}
    return {**values, "role": role.name.lower() if role != Role.NONE else ""}


def _what(request: HttpRequest, draft: Draft) -> dict[str, Any]:
    """`action` is what was acted on and what was done; the object is the one in the address, else what was made."""
    match = request.resolver_match
    assert match is not None
    actions: dict[str, str] = getattr(match.func, "actions", None) or {}  # of a view of the API
    if done := actions.get(str(request.method).lower(), ""):
        kind = str(match.func.initkwargs.get("basename") or match.url_name)  # type: ignore[attr-defined]
        model = getattr(getattr(match.func.cls, "queryset", None), "model", None)  # type: ignore[attr-defined]
    else:
        model, kind, done = _of_admin(str(match.url_name))
    values = {"action": f"{kind}.{READ_AS.get(done, done)}".strip("."), "object_type": kind}
    pk = str(match.kwargs.get("pk") or match.kwargs.get("object_id") or "")
    made = next((change for change in draft.changes if not pk or change["id"] == pk), None)
    if made is not None:
        return {**values, "object_type": made["type"], "object_id": made["id"], "object_name": made["name"]}
    return {**values, "object_id": pk, "object_name": _name_of(model, pk)}


def _of_admin(name: str) -> tuple[Any, str, str]:
    """(model, its word, what was done) of `databases_database_back-up`; of other addresses no model."""
    for model in admin.site._registry:
        prefix = f"{model._meta.app_label}_{model._meta.model_name}_"
        if name.startswith(prefix):
            return model, str(model._meta.model_name), name.removeprefix(prefix)
    return None, "", name


def _name_of(model: Any, pk: str) -> str:
    if model is None or not pk:
        return ""
    try:
        found = model._base_manager.filter(pk=pk).first()
    except (ValueError, TypeError):
        return ""  # an id that cannot be one
    return str(found)[:200] if found is not None else ""


def _outcome(request: HttpRequest, response: HttpResponseBase) -> dict[str, Any]:
    refused = getattr(request, "refused", "")  # a service said no, and the page says so
    status = response.status_code
    if status < 400:
        outcome = Entry.Outcome.REFUSED if refused else Entry.Outcome.DONE
        return {"outcome": outcome, "detail": refused}
    data = getattr(response, "data", None)
    detail = f"{data.get('code', '')}: {data.get('detail', '')}" if isinstance(data, dict) else f"HTTP {status}"
    return {"outcome": Entry.Outcome.FAILED if status >= 500 else Entry.Outcome.REFUSED, "detail": detail}
