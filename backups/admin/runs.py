"""Restores and verifications: what was asked, how it goes, what came of it."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesCheckboxFilter
from unfold.decorators import display

from backups.models import Restore, Verification
from databases.admin.words import words_of
from databases.models import Database
from jobs.admin.job_pages import ReadOnlyJobAdmin
from jobs.models import Job
from jobs.templatetags.backupsite import badge, moment, span


class RunAdmin(ReadOnlyJobAdmin):
    list_filter: Any = (("status", ChoicesCheckboxFilter),)
    list_filter_submit = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.select_related("backup", "requested_by").defer("backup__manifest")

    @display(description="Status", ordering="status")
    def state(self, job: Job) -> SafeString:
        return badge(job.status)

    @display(description="Asked for", ordering="created_at")
    def asked(self, job: Job) -> Any:
        return moment(job.created_at)

    @display(description="Took")
    def took(self, job: Job) -> str:
        return span(job.duration_s)


@admin.register(Restore)
class RestoreAdmin(RunAdmin):
    body_template = "backups/restore_body.html"
    phases = (("restore", "Read, decode and load"),)
    list_display = ("id", "state", "backup_label", "target_name", "asked", "took")
    search_fields = ("id", "backup_label", "target_name")

    def page_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        target = Database.objects.filter(pk=obj.target_id).first()
        known = target or obj.backup
        words = words_of(known.engine) if known else {"item": "item", "unit": "entry", "units": "entries"}
        return {**super().page_context(request, obj), "target_exists": target is not None, "engine": words}

    empty_hint = "Open a completed backup and choose Restore."
    search_help_text = "Search by id, backup or target"


@admin.register(Verification)
class VerificationAdmin(RunAdmin):
    body_template = "backups/verification_body.html"
    phases = (("verify", "Read and compare every copy"),)
    list_display = ("id", "state", "backup_label", "asked", "took")
    search_fields = ("id", "backup_label")
    empty_hint = "Open a completed backup and choose Verify."
    search_help_text = "Search by id or backup"
