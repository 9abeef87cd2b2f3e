"""Packages: the list, the page with live progress, and everything that can be done with one."""

from posixpath import basename
from shlex import quote
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from backups.comparison import Figure
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

MAKING = _(
    "The newest completed backup of each Database goes in as it is stored, with an index and notes on how to restore "
    "it by hand. Incrementals bring what they build on."
)


class PackageForm(PageForm):
    sections = ((_("Package"), "", ("databases", "compression", "on_missing")),)

    databases = LinesField(label=_("Only these Databases"))
    compression = forms.ChoiceField(choices=Compression.choices, label=_("Format"))
    on_missing = forms.ChoiceField(
        choices=OnMissing.choices,
        label=_("Where a backup is missing"),
        help_text=_("A Database may have no completed backup, or a damaged one."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        policy = package_policy()
        kwargs.setdefault("initial", {"compression": policy.compression, "on_missing": policy.on_missing})
        super().__init__(*args, **kwargs)
        count = databases_to_package([]).count()
        text = gettext("Ids, one a line. Empty: every Database that belongs into packages (now %(count)s).")
        self.fields["databases"].help_text = text % {"count": count}


@admin.register(Package)
class PackageAdmin(JobAdmin):
    body_template = "packages/package_body.html"
    phases = (
        ("gather", _("Choose backups")),
        ("pack", _("Pack and store")),
        ("read_back", _("Read back and compare")),
    )
    list_display = ("what", "state", "asked", "holds", "stored", "took", "origin")
    list_filter = (("status", ChoicesDropdownFilter), ("trigger", ChoicesDropdownFilter))
    list_filter_submit = True
    list_before_template = "packages/package_tabs.html"
    search_fields = ("id", "members__database_name")
    add_label = _("Make a package")
    empty_hint = _("Switch Packages on in a Database, and make the first one.")
    search_help_text = _("Search by id or Database")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Package]:
        rows: QuerySet[Package] = super().get_queryset(request)
        held = Count("members", filter=Q(members__missing=""))
        return rows.defer("manifest").select_related("requested_by").annotate(held=held)

    @display(description=_("Package"), ordering="id")
    def what(self, package: Package) -> SafeString:
        return two_lines(package.pk, package.get_compression_display())

    @display(description=_("Status"), ordering="status")
    def state(self, package: Package) -> SafeString:
        return badge(package.status)

    @display(description=_("Asked for"), ordering="created_at")
    def asked(self, package: Package) -> SafeString:
        return two_lines(moment(package.created_at), distance(package.created_at))

    @display(description=_("Artefacts"), ordering="held")
    def holds(self, package: Any) -> int:
        return int(package.held)

    @display(description=_("Stored"), ordering="size")
    def stored(self, package: Package) -> str:
        return size(package.size)

    @display(description=_("Took"))
    def took(self, package: Package) -> str:
        return span(package.duration_s)

    @display(description=_("Started by"), ordering="trigger")
    def origin(self, package: Package) -> str:
        return package.get_trigger_display()

    # The page

    def page_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        copies = list(obj.copies.select_related("destination").order_by("pk"))
        members = list(obj.members.all())
        stored = next((copy for copy in copies if copy.state == PackageCopy.State.STORED), None)
        return {
            **super().page_context(request, obj),
            "copies": copies,
            "members": [row for row in members if not row.missing],
            "missing": [row for row in members if row.missing],
            "download_url": reverse("api:package-download", args=[obj.pk]),
            "delete_url": self.address(obj, "delete"),
            "readable": obj.status == Status.COMPLETED and stored is not None,
            "commands": _commands(obj, stored) if stored and obj.status == Status.COMPLETED else [],
            "before": _one_before(obj),
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
                messages.success(request, gettext("%(package)s is being made.") % {"package": package.pk})
                return redirect(self.address(package))
        return self.render(
            request,
            "backupsite/form_page.html",
            form=form,
            title=gettext("Make a package"),
            introduction=MAKING,
            back=self.list_address(),
            submit=gettext("Make the package"),
            refused=gettext("Nothing was started."),
        )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request) and obj is not None

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        package = self.object_or_404(request, object_id)
        self.refuse_unless(self.has_delete_permission(request, package))
        if request.method == "POST":
            done = gettext("%(package)s is deleted as soon as its destination has let go of it.")
            gone = done % {"package": package.pk}
            return self.delete_through(request, package, lambda: delete_package(package=package), gone)
        return self.render(
            request,
            "backups/delete_page.html",
            object=package,
            title=gettext("Delete %(package)s?") % {"package": package.pk},
            back=self.address(package),
            **_consequences(package),
        )


def _commands(package: Package, copy: PackageCopy) -> list[str]:
    name = quote(basename(copy.key))
    opening = f"unzip {name}" if package.compression == Compression.ZIP else f"tar -xzf {name}"
    return [f"echo {quote(f'{package.sha256}  {basename(copy.key)}')} | sha256sum --check", opening, "less RESTORE.txt"]


def _one_before(package: Package) -> dict[str, Any] | None:
    done = Package.objects.filter(status__in=(Status.COMPLETED, Status.EXPIRED), created_at__lt=package.created_at)
    before = done.filter(databases=package.databases).defer("manifest").order_by("-created_at", "-pk").first()
    return {"package": before, "stored": Figure(package.size, before.size)} if before and package.size else None


def _consequences(package: Package) -> dict[str, Any]:
    copies = package.copies.select_related("destination").order_by("pk")
    lost = [
        gettext("The archive at %(place)s (%(size)s).") % {"place": copy.destination.name, "size": size(package.size)}
        for copy in copies
    ]
    gone = package.members.filter(missing="", backup=None).count()
    alarm = ngettext(
        "%(count)s artefact in it is stored nowhere else any more: its backup was deleted.",
        "%(count)s artefacts in it are stored nowhere else any more: their backups were deleted.",
        gone,
    )
    return {
        "alarms": [alarm % {"count": gone}] if gone else [],
        "lost": [*lost, gettext("Its page and its log.")],
        "stays": [gettext("The backups in it stay where they are.")],
    }
