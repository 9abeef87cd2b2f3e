"""How the admin looks: its names, its one accent colour, its own sheet and script."""

from typing import Any

from django.templatetags.static import static

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Backupsite",
    "SITE_HEADER": "Backupsite",
    "SITE_SYMBOL": "shield_lock",
    "SITE_URL": None,
    "SHOW_VIEW_ON_SITE": False,
    "DASHBOARD_CALLBACK": "backupsite.admin.overview.overview",
    "STYLES": [lambda request: static("backupsite/admin.css")],
    "SCRIPTS": [lambda request: static("backupsite/admin.js")],
    "LOGIN": {"form": "backupsite.login.LoginForm"},
    "SIDEBAR": {"show_search": False, "navigation": "backupsite.admin.navigation.navigation"},
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
