"""Log in by the word of another site: sent there by a button, and back with a code.

Coming back is a GET, as OpenID Connect has it: the state that this browser's session holds makes it worth something.
"""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_POST, require_safe

from accounts.addresses import client_address
from accounts.models import Session
from audit.models import Entry
from audit.services.draft import drafting
from audit.services.record import record
from backupsite.account.login import BACKEND, safe_next
from backupsite.account.provider import authorize, claims_of
from backupsite.account.provider_users import user_of
from backupsite.api.services.login import address_limit
from backupsite.single_sign_on import Provider
from jobs.errors import BackupError
from jobs.services.quota import give_back, take

NEXT = "signing_in_next"


@never_cache
@csrf_protect
@require_POST
def begin(request: HttpRequest) -> HttpResponse:
    back = settings.BACKUPSITE_PUBLIC_URL + reverse("account-oidc-back")
    try:
        answer = authorize(_provider(), request, back)
    except BackupError as error:
        return _told(request, error)
    request.session[NEXT] = safe_next(request)
    return answer


@never_cache
@require_safe
def come_back(request: HttpRequest) -> HttpResponse:
    """Counted as tries with a password are, else anybody could fill the audit with answers that prove nothing."""
    provider, limit = _provider(), address_limit(client_address(request))
    if take([limit]).wait is not None:
        messages.error(request, _("Too many attempts: try again in a few minutes."))
        return redirect("admin:login")
    with drafting() as draft:
        try:
            user = user_of(provider=provider, claims=claims_of(provider, request))
        except BackupError as error:
            outcome = Entry.Outcome.REFUSED if error.permanent else Entry.Outcome.FAILED
            _audit(request, draft, outcome=outcome, detail=error.message)
            return _told(request, error)
        request.signed_in_via = Session.Via.OIDC  # type: ignore[attr-defined]  # the session's row says so
        wanted = request.session.pop(NEXT, "") or reverse("admin:index")
        login(request, user, backend=BACKEND)
        give_back([limit])
        _audit(request, draft, outcome=Entry.Outcome.DONE)
    return redirect(wanted)


def _provider() -> Provider:
    if settings.BACKUPSITE_OIDC is None:
        raise Http404("Single sign-on is not set up.")
    provider: Provider = settings.BACKUPSITE_OIDC
    return provider


def _told(request: HttpRequest, error: BackupError) -> HttpResponse:
    messages.error(request, f"{error.message} {error.hint}".strip())
    return redirect("admin:login")


def _audit(request: HttpRequest, draft: object, **values: object) -> None:
    values |= {"action": "login", "via": Entry.Via.ADMIN, "through": Session.Via.OIDC.value}
    record(**values, address=client_address(request), draft=draft)  # type: ignore[arg-type]
