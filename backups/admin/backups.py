"""Backups: the list, the page with live progress, and everything that can be done with one."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext, gettext_lazy
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from backups.admin.approvals import ask_through, asked_for
from backups.admin.copies import CopiesOfBackupPages
from backups.admin.drill_forms import DrillForm
from backups.admin.filters import DatabaseFilter
from backups.admin.restore_form import LabelForm, RestoreForm, VerifyForm
from backups.by_hand import restore_by_hand
from backups.models import Backup, Copy, DrillPlan
from backups.selectors import backups_with_copies, readers_of
from backups.services.ask_approval import ask_to_delete_backup, ask_to_restore
from backups.services.mark import mark_backup
from backups.services.prune import delete_backup
from backups.services.request_drill import request_drill
from backups.services.restore import request_restore
from backups.services.verify import request_verification
from databases.admin.words import words_of
from databases.models import Database
from databases.services.consent import needs_second_person
from jobs.admin.job_pages import JobAdmin
from jobs.admin.pages import posted, tell
from jobs.models import Status
from jobs.roles import Role
from jobs.templatetags.backupsite import badge, distance, moment, size, span, two_lines

ACTIONS = ("verify", "drill", "restore", "label", "lock", "unlock", "delete")
VERIFYING = (
    "Every stored copy is read to its end: sizes, digests and the archive's structure are compared. "
    "Without a key the stored bytes of an encrypted artefact are compared, its contents are not."
)
DRILLING = gettext_lazy(
    "The backup is restored into a scratch target, compared with what was backed up, and asked what the Database's "
    "drill plan asserts; then the scratch target is removed. The Database itself is not touched."
)
LOCK = mark_safe('<span class="material-symbols-outlined bks-mark" title="locked">lock</span>')


@admin.register(Backup)
class BackupAdmin(CopiesOfBackupPages, JobAdmin):
    body_template = "backups/backup_body.html"
    phases = (("preflight", "Prepare"), ("dump", "Dump and store"), ("read_back", "Read back and compare"))
    list_display = ("what", "state", "asked", "stored", "took", "origin")
    list_filter = (
        DatabaseFilter,
        ("status", ChoicesDropdownFilter),
        ("type", ChoicesDropdownFilter),
        ("trigger", ChoicesDropdownFilter),
    )
    list_filter_submit = True
    list_before_template = "backups/backup_tabs.html"
    search_fields = ("id", "database_name", "label")
    empty_hint = "Open a Database and choose Back up now."
    search_help_text = "Search by id, Database or label"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Backup]:
        rows: QuerySet[Backup] = super().get_queryset(request)
        return rows.defer("manifest").select_related("requested_by")

    @display(description="Backup", ordering="database_name")
    def what(self, backup: Backup) -> SafeString:
        note = backup.label or backup.pk
        if backup.type != Backup.Type.FULL:
            note = f"{note} · {backup.get_type_display()}"
        name = format_html("{}{}", backup.database_name, LOCK) if backup.locked else backup.database_name
        return two_lines(name, note)

    @display(description="Status", ordering="status")
    def state(self, backup: Backup) -> SafeString:
        return badge(backup.status)

    @display(description="Asked for", ordering="created_at")
    def asked(self, backup: Backup) -> SafeString:
        return two_lines(moment(backup.created_at), distance(backup.created_at))

    @display(description="Stored", ordering="size")
    def stored(self, backup: Backup) -> str:
        return size(backup.size)

    @display(description="Took")
    def took(self, backup: Backup) -> str:
        return span(backup.duration_s)

    @display(description="Started by", ordering="trigger")
    def origin(self, backup: Backup) -> str:
        return backup.get_trigger_display()

    # The page

    def page_routes(self) -> list[URLPattern]:
        return [
            *super().page_routes(),
            *self.copy_routes(),
            self.form_route("verify", self.verify, Role.OPERATOR),
            self.form_route("drill", self.drill, Role.OPERATOR),
            self.form_route("restore", self.restore, Role.OPERATOR),
            self.form_route("label", self.label, Role.ADMIN),
            self.post_route("lock", self.lock, Role.ADMIN),
            self.post_route("unlock", self.unlock, Role.ADMIN),
        ]

    def page_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        copies = list(obj.copies.select_related("destination").order_by("pk"))
        stored = next((copy for copy in copies if copy.state == Copy.State.STORED), None)
        counts = _counts(obj)
        by_hand = stored and restore_by_hand(backup=obj, destination=stored.destination, key=stored.key)
        return {
            **super().page_context(request, obj),
            **self.copy_context(obj, copies),
            "copies": copies,
            "database_exists": Database.objects.filter(pk=obj.database_id).exists(),
            "by_hand": by_hand,
            "counts": counts,
            "counted": sum(rows is not None for _, rows in counts),
            "facts": obj.manifest.get("engine", {}),
            "engine": words_of(obj.engine),
            "children": obj.children.order_by("created_at")[:20],
            "readers": readers_of(obj),
            "restores": obj.restores.all()[:5],
            "drills": obj.drills.defer("report")[:5],
            "verifications": obj.verifications.all()[:5],
            "download_url": reverse("api:backup-download", args=[obj.pk]),
            "readable": obj.status == Status.COMPLETED and stored is not None,
            **{f"{name}_url": self.address(obj, name) for name in ACTIONS},
        }

    def verify(self, request: HttpRequest, backup: Backup) -> HttpResponse:
        form = VerifyForm(posted(request), backup=backup)
        if request.method == "POST" and form.is_valid():
            verification = form.save_through(
                lambda: request_verification(
                    backup=backup, identity=form.identity(), destination=form.copy_at(), user=request.user
                )
            )
            if verification is not None:
                messages.success(request, f"{verification.pk} reads every copy of {backup.pk} again.")
                return redirect("admin:backups_verification_change", verification.pk)
        return self.render(
            request,
            "backupsite/form_page.html",
            form=form,
            title=f"Verify {backup.pk}",
            introduction=VERIFYING,
            object=backup,
            back=self.address(backup),
            submit="Verify",
            refused="Nothing was started.",
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

    def restore(self, request: HttpRequest, backup: Backup) -> HttpResponse:
        form = RestoreForm(posted(request), backup=backup)
        if request.method == "POST" and form.is_valid():
            asked = {**form.values(), "backup": backup, "user": request.user}
            if needs_second_person() and (asked["drop_existing"] or asked["delete_extra"]):
                if (approval := form.save_through(lambda: ask_to_restore(**asked))) is not None:
                    return asked_for(request, approval)
                return self._restore_page(request, form, backup)
            restore = form.save_through(lambda: request_restore(**asked))
            if restore is not None:
                messages.success(request, f"{restore.pk} restores {backup.pk} into {restore.target_name}.")
                return redirect("admin:backups_restore_change", restore.pk)
        elif request.method == "POST":
            form.ask_secrets_again()
        return self._restore_page(request, form, backup)

    def _restore_page(self, request: HttpRequest, form: RestoreForm, backup: Backup) -> HttpResponse:
        return self.render(
            request,
            "backups/restore_page.html",
            form=form,
            title=f"Restore {backup.pk}",
            object=backup,
            back=self.address(backup),
            submit="Restore",
            refused="Nothing was started.",
        )

    def label(self, request: HttpRequest, backup: Backup) -> HttpResponse:
        form = LabelForm(posted(request), initial={"label": backup.label})

        def save() -> Backup:
            return mark_backup(backup=backup, label=form.cleaned_data["label"])

        return self.form_page(request, form=form, save=save, existing=backup, title=f"Label {backup.pk}")

    def lock(self, request: HttpRequest, backup: Backup) -> HttpResponse:
        return self._set_locked(request, backup, True)

    def unlock(self, request: HttpRequest, backup: Backup) -> HttpResponse:
        return self._set_locked(request, backup, False)

    def _set_locked(self, request: HttpRequest, backup: Backup, locked: bool) -> HttpResponse:
        done = f"{backup.pk} is locked: nothing deletes it." if locked else f"{backup.pk} is unlocked."
        if tell(request, lambda: mark_backup(backup=backup, locked=locked), done):
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
            done = f"{backup.pk} is deleted as soon as its destination has let go of it."
            return self.delete_through(request, backup, lambda: delete_backup(backup=backup), done)
        return self.confirm_page(request, backup, title=f"Delete {backup.pk}?", consequences=_consequences(backup))


def _counts(backup: Backup) -> list[tuple[str, Any]]:
    """What the manifest counts, by table or collection, the largest first; what was not counted last."""
    counts = backup.manifest.get("engine", {}).get("counts", {})
    return sorted(counts.items(), key=lambda item: (item[1] is None, -(item[1] or 0), item[0]))


def _consequences(backup: Backup) -> list[str]:
    copies = backup.copies.count()
    lines = [
        f"{copies} stored {'copy' if copies == 1 else 'copies'} ({size(backup.size)}) and the manifest are removed."
    ]
    good = backups_with_copies().filter(database=backup.database_id, status=Status.COMPLETED)
    if backup.status == Status.COMPLETED and not good.exclude(pk=backup.pk).exists():
        lines.append(f"This is the only completed backup of {backup.database_name}: nothing could be restored.")
    lines.append("This cannot be undone.")
    return lines
