"""Packages: the list, the page with live progress, and everything that can be done with one."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from jobs.admin.forms import LinesField, PageForm
from jobs.admin.job_pages import JobAdmin
from jobs.admin.pages import posted
from jobs.models import Status
from jobs.roles import Role, role_of
from jobs.templatetags.backupsite import badge, distance, moment, size, span, two_lines
from packages.models import Compression, OnMissing, Package, PackageCopy
from packages.selectors import databases_to_package, package_policy
from packages.services.prune import delete_package
from packages.services.request import request_package

MAKING = (
    "The newest completed backup of each Database goes in as it is stored, with an index and notes on how to restore "
    "it by hand. Incrementals bring what they build on."
)


class PackageForm(PageForm):
    sections = (("Package", "", ("databases", "compression", "on_missing")),)

    databases = LinesField(label="Only these Databases")
    compression = forms.ChoiceField(choices=Compression.choices, label="Format")
    on_missing = forms.ChoiceField(
        choices=OnMissing.choices,
        label="Where a backup is missing",
        help_text="A Database may have no completed backup, or a damaged one.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        policy = package_policy()
        kwargs.setdefault("initial", {"compression": policy.compression, "on_missing": policy.on_missing})
        super().__init__(*args, **kwargs)
        count = databases_to_package([]).count()
        self.fields[
            "databases"
        ].help_text = f"Ids, one a line. Empty: every Database that belongs into packages (now {count})."


@admin.register(Package)
class PackageAdmin(JobAdmin):
    body_template = "packages/package_body.html"
    phases = (("gather", "Choose backups"), ("pack", "Pack and store"), ("read_back", "Read back and compare"))
    list_display = ("what", "state", "asked", "holds", "stored", "took", "origin")
    list_filter = (("status", ChoicesDropdownFilter), ("trigger", ChoicesDropdownFilter))
    list_filter_submit = True
    list_before_template = "packages/package_tabs.html"
    search_fields = ("id", "members__database_name")
    empty_hint = "Switch Packages on in a Database, and make the first one."
    search_help_text = "Search by id or Database"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Package]:
        rows: QuerySet[Package] = super().get_queryset(request)
        held = Count("members", filter=Q(members__missing=""))
        return rows.defer("manifest").select_related("requested_by").annotate(held=held)

    @display(description="Package", ordering="id")
    def what(self, package: Package) -> SafeString:
        return two_lines(package.pk, package.get_compression_display())

    @display(description="Status", ordering="status")
    def state(self, package: Package) -> SafeString:
        return badge(package.status)

    @display(description="Asked for", ordering="created_at")
    def asked(self, package: Package) -> SafeString:
        return two_lines(moment(package.created_at), distance(package.created_at))

    @display(description="Artefacts", ordering="held")
    def holds(self, package: Any) -> int:
        return int(package.held)

    @display(description="Stored", ordering="size")
    def stored(self, package: Package) -> str:
        return size(package.size)

    @display(description="Took")
    def took(self, package: Package) -> str:
        return span(package.duration_s)

    @display(description="Started by", ordering="trigger")
    def origin(self, package: Package) -> str:
        return package.get_trigger_display()

    # The page

    def page_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        copies = list(obj.copies.select_related("destination").order_by("pk"))
        members = list(obj.members.all())
        stored = any(copy.state == PackageCopy.State.STORED for copy in copies)
        return {
            **super().page_context(request, obj),
            "copies": copies,
            "members": [row for row in members if not row.missing],
            "missing": [row for row in members if row.missing],
            "download_url": reverse("api:package-download", args=[obj.pk]),
            "delete_url": self.address(obj, "delete"),
            "readable": obj.status == Status.COMPLETED and stored,
        }

    # Making and deleting

    def has_add_permission(self, request: HttpRequest) -> bool:
        return role_of(request.user) >= Role.OPERATOR

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        self.refuse_unless(self.has_add_permission(request))
        form = PackageForm(posted(request))
        if request.method == "POST" and form.is_valid():
            package = form.save_through(lambda: request_package(user=request.user, **form.cleaned_data))
            if package is not None:
                messages.success(request, f"{package.pk} is being made.")
                return redirect(self.address(package))
        return self.render(
            request,
            "backupsite/form_page.html",
            form=form,
            title="Make a package",
            introduction=MAKING,
            back=self.list_address(),
            submit="Make the package",
            refused="Nothing was started.",
        )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request) and obj is not None

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        package = self.object_or_404(request, object_id)
        self.refuse_unless(self.has_delete_permission(request, package))
        if request.method == "POST":
            done = f"{package.pk} is deleted as soon as its destination has let go of it."
            return self.delete_through(request, package, lambda: delete_package(package=package), done)
        lines = [f"The archive ({size(package.size)}) is removed.", "The backups in it stay where they are."]
        return self.confirm_page(request, package, title=f"Delete {package.pk}?", consequences=lines)
