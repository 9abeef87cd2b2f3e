"""How the admin looks: its names, its mark, its one accent colour, its own sheets and scripts, its search."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _


def _own(name: str) -> Callable[[HttpRequest], str]:
    return lambda request: static(f"backupsite/{name}")


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Backupsite",
    "SITE_HEADER": "Backupsite",
    "SITE_ICON": _own("favicon.svg"),
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _own("favicon.svg")}],
    "SITE_URL": None,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_LANGUAGES": True,
    "DASHBOARD_CALLBACK": "backupsite.admin.dashboard.dashboard",
    # admin.css holds the tokens and the shared parts; what only some pages need has a sheet of its own after it.
    "STYLES": [
        _own("admin.css"),
        _own("dashboard.css"),
        _own("backup.css"),
        _own("pages.css"),
        _own("databases.css"),
        _own("accounts.css"),
    ],
    "SCRIPTS": [_own("times.js"), _own("admin.js"), _own("backup.js"), _own("databases.js")],
    "LOGIN": {"form": "backupsite.login.LoginForm", "image": _own("login.svg")},
    "ACCOUNT": {"navigation": [{"title": _("My account"), "link": reverse_lazy("account")}]},
    "COMMAND": {"search_callback": "backupsite.admin.search.search", "show_history": False},
    "SIDEBAR": {
        "show_search": True,
        "command_search": True,
        "navigation": "backupsite.admin.navigation.navigation",
    },
    "COLORS": {
        "primary": {
            "50": "#ecfaff",
            "100": "#cff1fb",
            "200": "#a5e3f4",
            "300": "#6bcde8",
            "400": "#45b4d3",
            "500": "#1b93b5",
            "600": "#0e7490",
            "700": "#155e75",
            "800": "#164e63",
            "900": "#134252",
            "950": "#082f3d",
        }
    },
}
