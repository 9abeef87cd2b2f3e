"""Who has to set a new password, or a second factor, does that before anything else."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect

from accounts.services.sessions import GATE, note_seen
from backupsite.api.problems import MEDIA_TYPE, problem

PAGES = {"password": "account-password", "factor": "account-factor"}
ALWAYS = frozenset({"root", "favicon", "logout", "jsi18n", "set_language"})
OPEN = {
    "password": ALWAYS | {"account-password"},
    "factor": ALWAYS | {"account-factor", "account-factor-begin", "account-factor-confirm"},
}
REFUSALS = {
    "password": ("password_change_required", "This password was set by somebody else: choose your own first."),
    "factor": ("second_factor_required", "Your role needs a second factor: set it up in the admin first."),
}


class GateMiddleware:
    """Browsers are led to the page that lets them on; calls of the API with their session are refused."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.session.session_key and request.session.get("_auth_user_id"):
            note_seen(request)
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: object, args: object, kwargs: object) -> HttpResponse | None:
        gate = request.session.get(GATE) if request.session.session_key else ""
        if not gate or request.resolver_match is None or request.resolver_match.url_name in OPEN[gate]:
            return None
        if request.path.startswith("/admin"):
            return redirect(PAGES[gate])
        code, text = REFUSALS[gate]
        return JsonResponse(problem(403, code, text), status=403, content_type=MEDIA_TYPE)
