"""Copies in the admin: their jobs, what a backup's page does with them, and the 3-2-1 view."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe
from unfold.contrib.filters.admin import ChoicesCheckboxFilter
from unfold.decorators import display

from backups.admin.runs import RunAdmin
from backups.models import Backup, Copy, CopyJob, Destination
from backups.protection import protections
from backups.services.change_copy import copy_fault, delete_copy, lock_copy
from backups.services.request_copy import request_copy
from databases.models import Database
from jobs.admin.forms import PageForm
from jobs.admin.pages import PageAdmin, posted, tell
from jobs.roles import Role, role_of

ON_A_PAGE = 50


class CopyForm(PageForm):
    """Where a backup is to have one more copy."""

    sections = (("", "", ("destination", "source")),)

    def __init__(self, *args: Any, backup: Backup, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stored = backup.copies.filter(state=Copy.State.STORED).values("destination")
        self.fields["destination"] = forms.ModelChoiceField(
            queryset=Destination.objects.exclude(pk__in=stored), label=_("Copy to")
        )
        self.fields["source"] = forms.ModelChoiceField(
            queryset=Destination.objects.filter(pk__in=stored),
            required=False,
            label=_("Read from"),
            empty_label=_("The nearest good copy"),
        )


class CopiesOfBackupPages(PageAdmin):
    """Mixed into the admin of backups. Which copy is meant is said by the form that is posted."""

    def copy_routes(self) -> list[URLPattern]:
        return [
            self.form_route("copy", self.copy, Role.OPERATOR),
            self.post_route("lock-copy", self.lock_copy, Role.OPERATOR),
            self.post_route("delete-copy", self.delete_copy, Role.OPERATOR),
        ]

    def copy_context(self, backup: Backup, copies: list[Copy]) -> dict[str, Any]:
        return {
            "copy_jobs": backup.copy_jobs.all()[:5],
            "deletable": {copy.pk for copy in copies if not copy_fault(copy, backup)},
            "copy_url": self.address(backup, "copy"),
            "lock_copy_url": self.address(backup, "lock-copy"),
            "delete_copy_url": self.address(backup, "delete-copy"),
        }

    def copy(self, request: HttpRequest, backup: Backup) -> HttpResponse:
        form = CopyForm(posted(request), backup=backup)
        if request.method == "POST" and form.is_valid():
            job = form.save_through(lambda: request_copy(backup=backup, user=request.user, **form.cleaned_data))
            if job is not None:
                return redirect("admin:backups_copyjob_change", job.pk)
        return self.render(
            request,
            "backupsite/form_page.html",
            form=form,
            title=_("Copy %(backup)s") % {"backup": backup.pk},
            object=backup,
            back=self.address(backup),
            submit=_("Copy"),
            refused=_("Nothing was started."),
        )

    def lock_copy(self, request: HttpRequest, backup: Backup) -> HttpResponse:
        copy, locked = _posted_copy(request, backup), request.POST.get("locked") == "yes"
        where = {"place": copy.destination.name}
        done = _("The copy at %(place)s is locked.") if locked else _("The copy at %(place)s is unlocked.")
        if tell(request, lambda: lock_copy(copy=copy, locked=locked), done % where):
            self.log_change(request, backup, [{"changed": {"fields": ["copies"]}}])
        return redirect(self.address(backup))

    def delete_copy(self, request: HttpRequest, backup: Backup) -> HttpResponse:
        copy = _posted_copy(request, backup)
        done = _("The copy at %(place)s is deleted as soon as it lets go of it.") % {"place": copy.destination.name}
        if tell(request, lambda: delete_copy(copy=copy), done):
            self.log_change(request, backup, [{"changed": {"fields": ["copies"]}}])
        return redirect(self.address(backup))


def _posted_copy(request: HttpRequest, backup: Backup) -> Copy:
    given = request.POST.get("copy", "")
    copy = backup.copies.select_related("destination").filter(pk=int(given)).first() if given.isdecimal() else None
    if copy is None:
        raise Http404("This backup has no such copy.")
    return copy


@admin.register(CopyJob)
class CopyJobAdmin(RunAdmin):
    body_template = "backups/copy_body.html"
    log_route = "api:copy-log"
    phases = (
        ("copy", gettext_lazy("Read, compare and store")),
        ("read_back", gettext_lazy("Read back and compare")),
        ("finish", gettext_lazy("Index and manifest")),
    )
    list_display = ("id", "state", "backup_shown", "where", "asked", "took")
    list_filter = (("status", ChoicesCheckboxFilter), ("trigger", ChoicesCheckboxFilter))
    search_fields = ("id", "backup_label", "destination_label")
    empty_hint = gettext_lazy("Name a second destination in a Database, or open a backup and choose Copy.")
    search_help_text = gettext_lazy("Search by id, backup or destination")

    @display(description=gettext_lazy("To"), ordering="destination_label")
    def where(self, job: CopyJob) -> SafeString | str:
        return job.destination_label

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_safe(self.overview))
        return [path("3-2-1/", view, name="backups_copyjob_overview"), *super().get_urls()]

    def overview(self, request: HttpRequest) -> HttpResponse:
        """Every Database against 3-2-1."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        page = Paginator(Database.objects.order_by("name", "pk"), ON_A_PAGE).get_page(request.GET.get("page"))
        return self.render(
            request,
            "backups/protection_list.html",
            title=_("Copies"),
            page=page,
            rows=protections(page.object_list),
            may_add=role_of(request.user) >= Role.ADMIN,
        )
