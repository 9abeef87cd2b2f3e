"""The admin's navigation: what a user's role may see."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse_lazy
from django.utils.translation import gettext as _

from backups.selectors import approvals_waiting
from jobs.roles import Role, role_of


def is_viewer(request: HttpRequest) -> bool:
    return role_of(request.user) >= Role.VIEWER


def is_admin(request: HttpRequest) -> bool:
    return role_of(request.user) >= Role.ADMIN


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    def item(title: str, icon: str, name: str, allowed: Callable[[HttpRequest], bool] = is_viewer) -> dict[str, Any]:
        return {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{name}"), "permission": allowed}

    waiting = item(_("Approvals"), "how_to_reg", "backups_approval_changelist")
    if settings.BACKUPSITE_FOUR_EYES and is_viewer(request) and (count := approvals_waiting()):
        waiting["badge"] = str(count)
    return [
        {
            "items": [
                item(_("Dashboard"), "space_dashboard", "index"),
                item(_("Databases"), "database", "databases_database_changelist"),
                item(_("Backups"), "inventory_2", "backups_backup_changelist"),
                item(_("Restores"), "settings_backup_restore", "backups_restore_changelist"),
                item(_("Drills"), "fact_check", "backups_drill_changelist"),
                item(_("Verifications"), "verified", "backups_verification_changelist"),
                item(_("Copies"), "file_copy", "backups_copyjob_overview"),
                item(_("Packages"), "package_2", "packages_package_changelist"),
                *([waiting] if settings.BACKUPSITE_FOUR_EYES else []),
                item(_("Destinations"), "hard_drive", "backups_destination_changelist"),
                item(_("Policy"), "policy", "databases_policy_changelist"),
            ]
        },
        {
            "title": _("Exports"),
            "separator": True,
            "items": [
                item(_("Exports"), "move_to_inbox", "exports_export_changelist"),
                item(_("Sources"), "hub", "exports_source_changelist"),
                item(_("Policy of exports"), "tune", "exports_exportpolicy_changelist"),
            ],
        },
        {
            "title": _("Notifications"),
            "separator": True,
            "items": [
                item(_("Events"), "notifications", "notifications_event_changelist"),
                item(_("Channels"), "campaign", "notifications_channel_changelist"),
                item(_("Rules"), "rule", "notifications_rule_changelist"),
                item(_("Mutes"), "notifications_off", "notifications_mute_changelist"),
                item(_("Pings"), "monitor_heart", "notifications_ping_changelist"),
            ],
        },
        {
            "title": _("Access"),
            "separator": True,
            "items": [
                item(_("Users"), "group", "auth_user_changelist", is_admin),
                item(_("API keys"), "key", "api_apikey_changelist", is_admin),
                item(_("Audit"), "policy_alert", "audit_entry_changelist", is_admin),
                item(_("Processes"), "memory", "jobs_process_changelist"),
                item(_("Recovery kit"), "medical_services", "backups_kitdownload_changelist", is_admin),
            ],
        },
    ]
