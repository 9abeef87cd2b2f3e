"""Backups: the list, the page with live progress, and everything that can be done with one."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from backups.admin.anomalies import AnomalyOfBackupPages, mark_icon
from backups.admin.approvals import ask_through
from backups.admin.backup_page import by_hand_shown, compared, copy_rows, manifest_shown, marks_of
from backups.admin.consequences import consequences_of
from backups.admin.copies import CopiesOfBackupPages
from backups.admin.drill_forms import DrillForm
from backups.admin.filters import DatabaseFilter
from backups.admin.restore_form import LabelForm, VerifyForm
from backups.admin.restore_wizard import RestorePages
from backups.admin.standing_filter import PeriodFilter
from backups.anomaly_selectors import with_marks
from backups.models import Backup, Copy, DrillPlan
from backups.services.ask_approval import ask_to_delete_backup
from backups.services.mark import mark_backup
from backups.services.prune import delete_backup
from backups.services.request_drill import request_drill
from backups.services.verify import request_verification
from databases.admin.words import words_of
from databases.models import Database
from databases.services.consent import needs_second_person
from jobs.admin.job_pages import JobAdmin
from jobs.admin.pages import posted, tell
from jobs.models import Status
from jobs.roles import Role
from jobs.templatetags.backupsite import badge, distance, moment, size, span, two_lines

ACTIONS = ("verify", "drill", "restore", "label", "lock", "unlock", "delete", "counts")
VERIFYING = gettext_lazy(
    "Every stored copy is read to its end: sizes, digests and the archive's structure are compared. "
    "Without a key the stored bytes of an encrypted artefact are compared, its contents are not."
)
DRILLING = gettext_lazy(
    "The backup is restored into a scratch target, compared with what was backed up, and asked what the Database's "
    "drill plan asserts; then the scratch target is removed. The Database itself is not touched."
)
LOCK = (
    '<span class="material-symbols-outlined bks-mark" aria-hidden="true">lock</span><span class="bks-unseen">{}</span>'
)


@admin.register(Backup)
class BackupAdmin(CopiesOfBackupPages, AnomalyOfBackupPages, RestorePages, JobAdmin):
    body_template = "backups/backup_body.html"
    log_route = "api:backup-log"
    phases = (
        ("preflight", gettext_lazy("Prepare")),
        ("dump", gettext_lazy("Dump and store")),
        ("read_back", gettext_lazy("Read back and compare")),
    )
    list_display = ("what", "state", "asked", "stored", "took", "origin")
    list_filter = (
        DatabaseFilter,
        PeriodFilter,
        ("status", ChoicesDropdownFilter),
        ("type", ChoicesDropdownFilter),
        ("trigger", ChoicesDropdownFilter),
    )
    list_filter_submit = True
    list_before_template = "backups/backup_tabs.html"
    search_fields = ("id", "database_name", "label")
    empty_hint = gettext_lazy("Open a Database and choose Back up now.")
    search_help_text = gettext_lazy("Search by id, Database or label")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Backup]:
        rows: QuerySet[Backup] = super().get_queryset(request)
        return with_marks(rows).defer("manifest").select_related("requested_by")

    @display(description=gettext_lazy("Backup"), ordering="database_name")
    def what(self, backup: Any) -> SafeString:
        note = backup.label or backup.pk
        if backup.type != Backup.Type.FULL:
            note = f"{note} · {backup.get_type_display()}"
        lock = format_html(LOCK, gettext("locked")) if backup.locked else ""
        marks = mark_icon(backup.mark_state, holds=backup.mark_holds), lock
        name = format_html("{}{}{}", backup.database_name, *marks)
        return two_lines(name, note)

    @display(description=gettext_lazy("Status"), ordering="status")
    def state(self, backup: Backup) -> SafeString:
        return badge(backup.status)

    @display(description=gettext_lazy("Asked for"), ordering="created_at")
    def asked(self, backup: Backup) -> SafeString:
        return two_lines(moment(backup.created_at), distance(backup.created_at))

    @display(description=gettext_lazy("Stored"), ordering="size")
    def stored(self, backup: Backup) -> str:
        return size(backup.size)

    @display(description=gettext_lazy("Took"))
    def took(self, backup: Backup) -> str:
        return span(backup.duration_s)

    @display(description=gettext_lazy("Started by"), ordering="trigger")
    def origin(self, backup: Backup) -> str:
        return backup.get_trigger_display()

    # The page

    def page_routes(self) -> list[URLPattern]:
        return [
            *super().page_routes(),
            *self.copy_routes(),
            *self.anomaly_routes(),
            self.form_route("verify", self.verify, Role.OPERATOR),
            self.form_route("drill", self.drill, Role.OPERATOR),
            *self.restore_routes(),
            self.read_route("counts", self.counts, self.view_role),
            self.form_route("label", self.label, Role.ADMIN),
            self.post_route("lock", self.lock, Role.ADMIN),
            self.post_route("unlock", self.unlock, Role.ADMIN),
        ]

    def page_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        copies = list(obj.copies.select_related("destination").order_by("pk"))
        counted, marks = compared(obj), marks_of(obj)
        find = request.GET.get("find", "")
        return {
            **super().page_context(request, obj),
            **self.copy_context(obj, copies),
            **self.anomaly_context(obj),
            **counted,
            **marks,
            **by_hand_shown(obj, copies),
            "table": manifest_shown(counted["manifest"], marks["odd_items"], find),
            "copies": copy_rows(obj, copies),
            "database_exists": Database.objects.filter(pk=obj.database_id).exists(),
            "engine": words_of(obj.engine),
            "children": obj.children.order_by("created_at")[:20],
            "restores": obj.restores.all()[:5],
            "drills": obj.drills.defer("report")[:5],
            "verifications": obj.verifications.all()[:5],
            "download_url": reverse("api:backup-download", args=[obj.pk]),
            "readable": obj.status == Status.COMPLETED and any(copy.state == Copy.State.STORED for copy in copies),
            "asks_delete": needs_second_person(),
            **{f"{name}_url": self.address(obj, name) for name in ACTIONS},
        }

    def counts(self, request: HttpRequest, backup: Backup) -> HttpResponse:
        """The rows of the manifest whose names hold what is looked for."""
        counted, marks = compared(backup), marks_of(backup)
        table = manifest_shown(counted["manifest"], marks["odd_items"], request.GET.get("find", ""))
        return self.render(
            request, "backups/backup_counts.html", table=table, engine=words_of(backup.engine), **counted
        )

    def verify(self, request: HttpRequest, backup: Backup) -> HttpResponse:
        form = VerifyForm(posted(request), backup=backup)
        if request.method == "POST" and form.is_valid():
            verification = form.save_through(
                lambda: request_verification(
                    backup=backup, identity=form.identity(), destination=form.copy_at(), user=request.user
                )
            )
            if verification is not None:
                messages.success(
                    request,
                    gettext("%(run)s reads every copy of %(backup)s again.")
                    % {"run": verification.pk, "backup": backup.pk},
                )
                return redirect("admin:backups_verification_change", verification.pk)
        return self.render(
            request,
            "backupsite/form_page.html",
            form=form,
            title=gettext("Verify %(backup)s") % {"backup": backup.pk},
            introduction=VERIFYING,
            object=backup,
            back=self.address(backup),
            submit=gettext("Verify"),
            refused=gettext("Nothing was started."),
        )

    def drill(self, request: HttpRequest, backup: Backup) -> HttpResponse:
        plan = DrillPlan.objects.filter(pk=backup.database_id).first() or DrillPlan()
        form = DrillForm(posted(request), backup=backup, plan=plan)
        if request.method == "POST" and form.is_valid():
            drill = form.save_through(lambda: request_drill(backup=backup, user=request.user, **form.values()))
            if drill is not None:
                return redirect("admin:backups_drill_change", drill.pk)
        return self.render(
            request,
            "backupsite/form_page.html",
            form=form,
            title=gettext("Drill %(backup)s") % {"backup": backup.pk},
            introduction=DRILLING,
            object=backup,
            back=self.address(backup),
            submit=gettext("Drill"),
            refused=gettext("Nothing was started."),
        )

    def label(self, request: HttpRequest, backup: Backup) -> HttpResponse:
        form = LabelForm(posted(request), initial={"label": backup.label})

        def save() -> Backup:
            return mark_backup(backup=backup, label=form.cleaned_data["label"])

        return self.form_page(
            request, form=form, save=save, existing=backup, title=gettext("Label %(backup)s") % {"backup": backup.pk}
        )

    def lock(self, request: HttpRequest, backup: Backup) -> HttpResponse:
        return self._set_locked(request, backup, True)

    def unlock(self, request: HttpRequest, backup: Backup) -> HttpResponse:
        return self._set_locked(request, backup, False)

    def _set_locked(self, request: HttpRequest, backup: Backup, locked: bool) -> HttpResponse:
        done = gettext("%(backup)s is locked: nothing deletes it.") if locked else gettext("%(backup)s is unlocked.")
        if tell(request, lambda: mark_backup(backup=backup, locked=locked), done % {"backup": backup.pk}):
            self.log_change(request, backup, [{"changed": {"fields": ["locked"]}}])
        return redirect(self.address(backup))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request) and obj is not None

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        backup = self.object_or_404(request, object_id)
        self.refuse_unless(self.has_delete_permission(request, backup))
        if request.method == "POST" and needs_second_person() and backup.status != Status.DELETING:
            return ask_through(
                request, lambda: ask_to_delete_backup(backup=backup, user=request.user), self.address(backup)
            )
        if request.method == "POST":
            done = gettext("%(backup)s is deleted as soon as its destination has let go of it.") % {"backup": backup.pk}
            return self.delete_through(request, backup, lambda: delete_backup(backup=backup), done)
        return self.render(
            request,
            "backups/delete_page.html",
            object=backup,
            title=gettext("Delete %(backup)s?") % {"backup": backup.pk},
            back=self.address(backup),
            **consequences_of(backup),
        )
