"""The one router of the API; every address works with and without a trailing slash."""

from typing import Any

from rest_framework.routers import SimpleRouter
from rest_framework.viewsets import ViewSetMixin

from audit.api.entries import EntryViewSet
from backups.api.application import ApplicationViewSet
from backups.api.approvals import ApprovalViewSet
from backups.api.backups import BackupViewSet
from backups.api.copies import CopyJobViewSet
from backups.api.databases import DatabaseViewSet
from backups.api.destinations import DestinationViewSet
from backups.api.drills import DrillViewSet
from backups.api.runs import RestoreViewSet, VerificationViewSet
from backupsite.api.idempotency import Idempotent
from backupsite.api.keys import ApiKeyViewSet
from databases.schedule_api import ScheduleViewSet
from exports.api.operators import ExportViewSet
from exports.api.own import OwnExportViewSet
from exports.api.sources import ExportSourceViewSet
from notifications.api.channels import ChannelViewSet
from notifications.api.events import EventViewSet
from notifications.api.mutes import MuteViewSet
from notifications.api.pings import PingViewSet
from notifications.api.rules import RuleViewSet
from packages.api.packages import PackageViewSet


class Router(SimpleRouter):
    def __init__(self) -> None:
        super().__init__()
        self.trailing_slash = "/?"

    def register(self, prefix: str, viewset: type[ViewSetMixin], basename: str | None = None) -> None:
        """Rooms below know nothing of idempotency keys; the plug board adds it to their views here."""
        attributes: dict[str, Any] = {
            "__doc__": viewset.__doc__,
            "__module__": viewset.__module__,
            "http_method_names": ["get", "head", "post", "put", "patch", "delete"],
        }
        super().register(prefix, type(viewset.__name__, (Idempotent, viewset), attributes), basename)


router = Router()
router.register("databases", DatabaseViewSet, "database")
router.register("schedules", ScheduleViewSet, "schedule")
router.register("backup", ApplicationViewSet, "application")
router.register("backup", OwnExportViewSet, "own-export")
router.register("exports", ExportViewSet, "export")
router.register("export-sources", ExportSourceViewSet, "export-source")
router.register("backups", BackupViewSet, "backup")
router.register("restores", RestoreViewSet, "restore")
router.register("drills", DrillViewSet, "drill")
router.register("verifications", VerificationViewSet, "verification")
router.register("copies", CopyJobViewSet, "copy")
router.register("approvals", ApprovalViewSet, "approval")
router.register("packages", PackageViewSet, "package")
router.register("destinations", DestinationViewSet, "destination")
router.register("keys", ApiKeyViewSet, "key")
router.register("audit", EntryViewSet, "audit")
router.register("events", EventViewSet, "event")
router.register("channels", ChannelViewSet, "channel")
router.register("rules", RuleViewSet, "rule")
router.register("mutes", MuteViewSet, "mute")
router.register("pings", PingViewSet, "ping")
