"""One's own second factor: begun, confirmed by a first code, its recovery codes, and taking it off."""

import segno
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.selectors import account_of, gate_of, needs_second_factor, recovery_codes_left
from accounts.services import second_factor
from accounts.services.sessions import GATE, end_sessions
from audit.services.draft import say
from backupsite.account.forms import CodeForm, ConfirmFactorForm
from backupsite.account.pages import show
from jobs.admin.pages import posted
from jobs.fields import unseal


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    account = account_of(request.user)
    if account.totp_confirmed_at is None and account.totp_secret is not None:
        return _enrol(request, str(unseal(account.totp_secret)), ConfirmFactorForm(None, request=request))
    return show(
        request,
        "accounts/factor.html",
        title=_("Second factor"),
        account=account,
        required=needs_second_factor(request.user),
        codes_left=recovery_codes_left(request.user),
    )


@require_POST
def begin(request: HttpRequest) -> HttpResponse:
    second_factor.begin(user=request.user)
    say(action="second-factor.begin")
    return redirect("account-factor")


def confirm(request: HttpRequest) -> HttpResponse:
    account = account_of(request.user)
    if request.method != "POST" or account.totp_confirmed_at is not None or account.totp_secret is None:
        return redirect("account-factor")
    form = ConfirmFactorForm(posted(request), request=request)
    if form.is_valid():
        codes = second_factor.confirm(user=request.user, code=form.cleaned_data["first_code"])
        if codes is not None:
            request.session[GATE] = gate_of(request.user)
            end_sessions(user=request.user, but=request.session.session_key)  # they began without a code
            say(action="second-factor.on")
            return _once(request, codes)
        form.add_error("first_code", _("The code is wrong: is the telephone's clock right?"))
    return _enrol(request, str(unseal(account.totp_secret)), form)


def renew(request: HttpRequest) -> HttpResponse:
    form = CodeForm(posted(request), request=request)
    if form.is_valid():
        say(action="second-factor.new-codes")
        return _once(request, second_factor.renew_recovery_codes(user=request.user))
    return _ask_code(request, form, title=_("New recovery codes"), submit=_("Make new codes"))


def off(request: HttpRequest) -> HttpResponse:
    if needs_second_factor(request.user):
        messages.error(request, _("Your role needs a second factor: it cannot be taken off."))
        return redirect("account-factor")
    form = CodeForm(posted(request), request=request)
    if form.is_valid():
        second_factor.remove(user=request.user, by=request.user.get_username())
        say(action="second-factor.off")
        messages.success(request, _("The second factor is off."))
        return redirect("account")
    return _ask_code(request, form, title=_("Take the second factor off"), submit=_("Take it off"))


def _enrol(request: HttpRequest, secret: str, form: ConfirmFactorForm) -> HttpResponse:
    address = second_factor.address_of(user=request.user, secret=secret)
    key = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
    context = {"qr": _qr(address), "key": key, "form": form, "confirm_url": reverse("account-factor-confirm")}
    return show(request, "accounts/enrol.html", title=_("Set up the second factor"), **context)


def _qr(text: str) -> SafeString:
    """As SVG within the page: no other service sees the secret, and no address of a picture is kept anywhere."""
    svg = segno.make(text, error="m").svg_inline(omitsize=True, border=2, dark="#0b1a20", light="#ffffff")
    return mark_safe(svg)


def _once(request: HttpRequest, codes: list[str]) -> HttpResponse:
    return show(request, "accounts/recovery_codes.html", title=_("Your recovery codes"), codes=codes)


def _ask_code(request: HttpRequest, form: CodeForm, *, title: str, submit: str) -> HttpResponse:
    return show(
        request, "accounts/password.html", title=title, form=form, submit=submit, back=reverse("account-factor")
    )
