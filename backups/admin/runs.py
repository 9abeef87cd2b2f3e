"""Restores and verifications: what was asked, how it goes, what came of it."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesCheckboxFilter
from unfold.decorators import display

from backups.comparison import counts_of
from backups.models import Restore, Verification
from databases.admin.words import words_of
from databases.engines import registry
from databases.models import Database
from jobs.admin.job_pages import ReadOnlyJobAdmin
from jobs.models import Job
from jobs.templatetags.backupsite import badge, moment, span

MOST_ROWS = 500


class RunAdmin(ReadOnlyJobAdmin):
    list_filter: Any = (("status", ChoicesCheckboxFilter),)
    list_filter_submit = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.select_related("backup", "requested_by").defer("backup__manifest")

    @display(description=_("Status"), ordering="status")
    def state(self, job: Job) -> SafeString:
        return badge(job.status)

    @display(description=_("Backup"), ordering="backup_label")
    def backup_shown(self, job: Any) -> str:
        return str(job.backup_label)

    @display(description=_("Asked for"), ordering="created_at")
    def asked(self, job: Job) -> Any:
        return moment(job.created_at)

    @display(description=_("Took"))
    def took(self, job: Job) -> str:
        return span(job.duration_s)


@admin.register(Restore)
class RestoreAdmin(RunAdmin):
    body_template = "backups/restore_body.html"
    log_route = "api:restore-log"
    phases = (("restore", _("Read, decode and load")), ("finish", _("Finish the restore")))
    list_display = ("id", "state", "backup_shown", "target_shown", "asked", "took")
    search_fields = ("id", "backup_label", "target_name")

    @display(description=_("Target"), ordering="target_name")
    def target_shown(self, restore: Restore) -> str:
        return restore.target_name

    def page_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        target = Database.objects.filter(pk=obj.target_id).first()
        known = target or obj.backup
        words = words_of(known.engine) if known else {"item": "item", "unit": "entry", "units": "entries"}
        rows = _restored(obj)
        return {
            **super().page_context(request, obj),
            "target_exists": target is not None,
            "engine": words,
            "source_name": obj.backup.database_name if obj.backup else "",
            "source_at": obj.backup.created_at if obj.backup else None,
            "partial": bool(known and obj.bytes_done and not registry.engine_class(known.engine).atomic),
            "rows": rows[:MOST_ROWS],
            "count": len(rows),
            "differing": sum(row["differs"] for row in rows),
        }

    empty_hint = _("Open a completed backup and choose Restore.")
    search_help_text = _("Search by id, backup or target")


def _restored(restore: Restore) -> list[dict[str, Any]]:
    """What was counted in the target, beside what the backup had counted; what differs comes first."""
    counts: dict[str, int | None] = restore.report.get("counts", {})
    held = counts_of(restore.backup) if restore.backup else {}
    rows = [
        {"name": name, "restored": count, "held": held.get(name), "differs": _differs(count, held.get(name))}
        for name, count in counts.items()
    ]
    return sorted(rows, key=lambda row: (not row["differs"], -(row["restored"] or 0), row["name"]))


def _differs(count: int | None, held: int | None) -> bool:
    return None not in (count, held) and count != held


@admin.register(Verification)
class VerificationAdmin(RunAdmin):
    body_template = "backups/verification_body.html"
    log_route = "api:verification-log"
    phases = (("verify", _("Read and compare every copy")),)
    list_display = ("id", "state", "backup_shown", "asked", "took")
    search_fields = ("id", "backup_label")
    empty_hint = _("Open a completed backup and choose Verify.")
    search_help_text = _("Search by id or backup")
