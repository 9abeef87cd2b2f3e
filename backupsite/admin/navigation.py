"""The admin's navigation: what a user's role may see."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse_lazy

from backups.selectors import approvals_waiting
from jobs.roles import Role, role_of


def is_viewer(request: HttpRequest) -> bool:
    return role_of(request.user) >= Role.VIEWER


def is_admin(request: HttpRequest) -> bool:
    return role_of(request.user) >= Role.ADMIN


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    def item(title: str, icon: str, name: str, allowed: Callable[[HttpRequest], bool] = is_viewer) -> dict[str, Any]:
        return {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{name}"), "permission": allowed}

    waiting = item("Approvals", "how_to_reg", "backups_approval_changelist")
    if settings.BACKUPSITE_FOUR_EYES and is_viewer(request) and (count := approvals_waiting()):
        waiting["badge"] = str(count)
    return [
        {
            "items": [
                item("Overview", "space_dashboard", "index"),
                item("Databases", "database", "databases_database_changelist"),
                item("Backups", "inventory_2", "backups_backup_changelist"),
                item("Restores", "settings_backup_restore", "backups_restore_changelist"),
                item("Drills", "fact_check", "backups_drill_changelist"),
                item("Verifications", "verified", "backups_verification_changelist"),
                item("Copies", "file_copy", "backups_copyjob_overview"),
                item("Packages", "package_2", "packages_package_changelist"),
                *([waiting] if settings.BACKUPSITE_FOUR_EYES else []),
                item("Destinations", "hard_drive", "backups_destination_changelist"),
                item("Policy", "policy", "databases_policy_changelist"),
            ]
        },
        {
            "title": "Exports",
            "separator": True,
            "items": [
                item("Exports", "move_to_inbox", "exports_export_changelist"),
                item("Sources", "hub", "exports_source_changelist"),
                item("Policy of exports", "tune", "exports_exportpolicy_changelist"),
            ],
        },
        {
            "title": "Notifications",
            "separator": True,
            "items": [
                item("Events", "notifications", "notifications_event_changelist"),
                item("Channels", "campaign", "notifications_channel_changelist"),
                item("Rules", "rule", "notifications_rule_changelist"),
                item("Mutes", "notifications_off", "notifications_mute_changelist"),
                item("Pings", "monitor_heart", "notifications_ping_changelist"),
            ],
        },
        {
            "title": "Access",
            "separator": True,
            "items": [
                item("Users", "group", "auth_user_changelist", is_admin),
                item("API keys", "key", "api_apikey_changelist", is_admin),
                item("Audit", "policy_alert", "audit_entry_changelist", is_admin),
                item("Recovery kit", "medical_services", "backups_kitdownload_changelist", is_admin),
            ],
        },
    ]
