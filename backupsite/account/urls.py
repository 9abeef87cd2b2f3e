"""Addresses of logging in and of one's own account; they stand before the admin's own of the same name."""

from collections.abc import Callable

from django.contrib import admin
from django.http import HttpResponse
from django.urls import URLPattern, path
from django.views.i18n import set_language

from backupsite.account import factor, login, pages, password, single_sign_on, times


def _page(route: str, view: Callable[..., HttpResponse], name: str) -> URLPattern:
    return path(f"admin/account/{route}", admin.site.admin_view(view), name=name)


account_patterns = [
    path("admin/language/", set_language, name="set_language"),
    path("admin/login/", login.log_in, name="account-login"),
    path("admin/login/code/", login.code, name="account-login-code"),
    path("admin/login/oidc/", single_sign_on.begin, name="account-oidc"),
    path("admin/login/oidc/back/", single_sign_on.come_back, name="account-oidc-back"),
    path("admin/password_change/", admin.site.admin_view(password.change), name="account-password-change"),
    _page("", pages.overview, "account"),
    _page("times/", times.choose, "account-times"),
    _page("password/", password.change, "account-password"),
    _page("second-factor/", factor.page, "account-factor"),
    _page("second-factor/begin/", factor.begin, "account-factor-begin"),
    _page("second-factor/confirm/", factor.confirm, "account-factor-confirm"),
    _page("second-factor/codes/", factor.renew, "account-factor-codes"),
    _page("second-factor/off/", factor.off, "account-factor-off"),
    _page("sessions/end-others/", pages.end_others, "account-sessions-end-others"),
    _page("sessions/<int:number>/end/", pages.end, "account-session-end"),
]
