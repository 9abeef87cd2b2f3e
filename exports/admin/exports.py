"""Exports: the list, and the page with live progress. What is in them, and what their user wrote, is not shown."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from exports.models import Export, ExportObject
from exports.selectors import exports_for_operators, status_of
from exports.services.links import revoke_links
from exports.services.remove import delete_export
from jobs.admin.job_pages import JobAdmin
from jobs.admin.pages import tell
from jobs.templatetags.backupsite import badge, distance, moment, size, span, two_lines


@admin.register(Export)
class ExportAdmin(JobAdmin):
    body_template = "exports/export_body.html"
    phases = (("gather", _("Gather and store")), ("read_back", _("Read back and compare")))
    list_display = ("what", "state", "whose", "asked", "stored", "took", "until")
    list_filter = (("status", ChoicesDropdownFilter), ("type", ChoicesDropdownFilter))
    list_filter_submit = True
    search_fields = ("id", "pubkey")
    search_help_text = _("Search by id or public key")
    empty_hint = _("Nobody has asked for an export yet.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Export]:
        return exports_for_operators()

    @display(description=_("Export"), ordering="id")
    def what(self, export: Export) -> SafeString:
        return two_lines(export.pk, export.get_type_display())

    @display(description=_("Status"), ordering="status")
    def state(self, export: Export) -> SafeString:
        return badge(status_of(export))

    @display(description=_("Public key"), ordering="pubkey")
    def whose(self, export: Export) -> str:
        return f"{export.pubkey[:8]}…{export.pubkey[-8:]}"

    @display(description=_("Asked for"), ordering="created_at")
    def asked(self, export: Export) -> SafeString:
        return two_lines(moment(export.created_at), distance(export.created_at))

    @display(description=_("Stored"), ordering="size")
    def stored(self, export: Export) -> str:
        return size(export.size)

    @display(description=_("Took"))
    def took(self, export: Export) -> str:
        return span(export.duration_s)

    @display(description=_("Until"), ordering="expires_at")
    def until(self, export: Export) -> str:
        return distance(export.expires_at) if export.expires_at else "–"

    # The page

    def page_routes(self) -> list[URLPattern]:
        return [*super().page_routes(), self.post_route("revoke", self.revoke, self.run_role)]

    def page_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        stored = obj.objects_stored.select_related("destination").order_by("pk")
        return {
            **super().page_context(request, obj),
            "told": status_of(obj),
            "link": obj.links.filter(revoked_at=None).first(),
            "sources": Export.objects.values_list("manifest__index__sources", flat=True).get(pk=obj.pk) or [],
            "objects": [one for one in stored if one.state != ExportObject.State.WRITING],
            "delete_url": self.address(obj, "delete"),
            "revoke_url": self.address(obj, "revoke"),
        }

    def revoke(self, request: HttpRequest, export: Export) -> HttpResponse:
        done = gettext("The link of %(export)s leads nowhere any more. Its user can ask for a new one.")
        if tell(request, lambda: revoke_links(export=export), done % {"export": export.pk}):
            self.log_change(request, export, [{"changed": {"fields": ["link"]}}])
        return redirect(self.address(export))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request) and obj is not None

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        export = self.object_or_404(request, object_id)
        self.refuse_unless(self.has_delete_permission(request, export))
        if request.method == "POST":
            done = gettext("%(export)s is gone as soon as its destination has let go of it.") % {"export": export.pk}
            return self.delete_through(request, export, lambda: delete_export(export=export), done)
        lines = [
            gettext("Its user can no longer fetch it, and is not told."),
            gettext("The data it was made of stays where it is."),
        ]
        title = gettext("Delete %(export)s?") % {"export": export.pk}
        return self.confirm_page(request, export, title=title, consequences=lines)
