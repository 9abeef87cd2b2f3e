"""Log in to the admin: a name and a password first, then the code of the second factor where it is on."""

import time
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.auth import get_user_model, login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from rest_framework.exceptions import AuthenticationFailed, Throttled

from backupsite.api.services.login import confirm_login

WAITING = "signing_in"  # who gave the right password, and until when the code is waited for
WAITS_S = 300
BACKEND = "django.contrib.auth.backends.ModelBackend"


class LoginCodeForm(forms.Form):
    code = forms.CharField(max_length=40)


@never_cache
@sensitive_post_parameters()
def log_in(request: HttpRequest) -> HttpResponse:
    extra = {"provider": settings.BACKUPSITE_OIDC, "local_login": settings.BACKUPSITE_LOCAL_LOGIN}
    answer = admin.site.login(request, {**extra, "next_page": safe_next(request)})
    asked = getattr(request, "code_is_asked_of", None)  # by the form, whose password was right
    if asked is None:
        return answer
    request.session[WAITING] = {
        "user": asked.pk,
        "hash": asked.get_session_auth_hash(),
        "until": time.time() + WAITS_S,
        "next": safe_next(request),
    }
    return redirect("account-login-code")


@never_cache
@csrf_protect
def code(request: HttpRequest) -> HttpResponse:
    waiting = request.session.get(WAITING)
    user = _who_waits(waiting)
    if user is None:
        request.session.pop(WAITING, None)
        return redirect("admin:login")
    form = LoginCodeForm(request.POST if request.method == "POST" else None)
    if form.is_valid() and _right(request, user, form):
        wanted = request.session.pop(WAITING)["next"]
        login(request, user, backend=BACKEND)
        return redirect(wanted)
    context = {**admin.site.each_context(request), "form": form, "title": _("Second factor"), "who": user}
    return render(request, "accounts/login_code.html", context)


def _right(request: HttpRequest, user: Any, form: LoginCodeForm) -> bool:
    try:
        confirm_login(request=request, user=user, code=form.cleaned_data["code"])
    except Throttled:
        form.add_error("code", _("Too many attempts: try again in a few minutes."))
    except AuthenticationFailed:
        form.add_error("code", _("The code is wrong, or was used already."))
    return form.is_valid()


def _who_waits(waiting: dict[str, Any] | None) -> Any:
    """None when nobody does, when it took too long, and when the password was changed meanwhile."""
    if not waiting or waiting["until"] < time.time():
        return None
    user = get_user_model().objects.filter(pk=waiting["user"], is_active=True).first()
    return user if user is not None and user.get_session_auth_hash() == waiting["hash"] else None


def safe_next(request: HttpRequest) -> str:
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if safe else reverse("admin:index")
