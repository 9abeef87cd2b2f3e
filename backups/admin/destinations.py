"""Destinations: where artefacts live, how full they are, what is on them, and a check."""

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.contrib.filters.admin import ChoicesCheckboxFilter
from unfold.decorators import display

from backups.admin.destination_form import S3_OBJECTS, WORDS, DestinationForm
from backups.admin.destination_page import growth_of, held_of, named_of, state_of, used_of, what_is_on
from backups.destinations import check_destination
from backups.models import Copy, Destination, Usage
from backups.services.save_destination import delete_destination, save_destination
from jobs.admin.pages import PageAdmin, posted
from jobs.templatetags.backupsite import distance, size, two_lines


@admin.register(Destination)
class DestinationAdmin(PageAdmin):
    page_template = "backups/destination.html"
    list_display = ("what", "state", "where", "used", "free", "looked")
    list_filter = (("kind", ChoicesCheckboxFilter),)
    search_fields = ("id", "name", "path", "bucket")
    search_help_text = gettext_lazy("Search by name, id, folder or bucket")
    empty_hint = gettext_lazy("A destination is a folder or a bucket that backups are stored in.")
    add_label = gettext_lazy("Add a destination")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Destination]:
        """What lies there is counted by the sweeper: no page waits for the sum over all copies."""
        newest = Usage.objects.filter(destination=OuterRef("pk")).order_by("-day")
        return Destination.objects.annotate(
            used_bytes=Subquery(newest.values("stored_bytes")[:1]),
            used_copies=Subquery(newest.values("copies")[:1]),
        )

    @display(description=gettext_lazy("Destination"), ordering="name")
    def what(self, destination: Destination) -> SafeString:
        note = f"{destination.pk} · {_('default')}" if destination.is_default else destination.pk
        return two_lines(destination.name, note)

    @display(description=gettext_lazy("State"), ordering="fault")
    def state(self, destination: Destination) -> SafeString:
        return state_of(destination)

    @display(description=gettext_lazy("Where"), ordering="kind")
    def where(self, destination: Destination) -> SafeString:
        return two_lines(place_of(destination), destination.get_kind_display())

    @display(description=gettext_lazy("Stored"), ordering="used_bytes")
    def used(self, destination: Any) -> SafeString | str:
        if destination.used_bytes is None:
            return _("not counted yet")
        return two_lines(size(destination.used_bytes), _artefacts(destination.used_copies))

    @display(description=gettext_lazy("Free"), ordering="free_bytes")
    def free(self, destination: Destination) -> str:
        return size(destination.free_bytes)

    @display(description=gettext_lazy("Last look"), ordering="looked_at")
    def looked(self, destination: Destination) -> str:
        return distance(destination.looked_at)

    # The page

    def page_routes(self) -> list[URLPattern]:
        return [
            self.post_route("check", self.check_connection, self.run_role),
            self.form_route("edit", self.edit, self.change_role),
        ]

    def page_context(self, request: HttpRequest, obj: Destination) -> dict[str, Any]:
        return {
            "badge": state_of(obj),
            "place": place_of(obj),
            "used": used_of(obj),
            "growth": growth_of(obj),
            "facts": _facts(obj),
            "holds": what_is_on(obj),
            "held": held_of(obj),
            "named": named_of(obj),
            "damaged": obj.copies.filter(state=Copy.State.QUARANTINED).select_related("backup").order_by("-pk")[:20],
            "check_url": self.address(obj, "check"),
            "edit_url": self.address(obj, "edit"),
            "delete_url": self.address(obj, "delete"),
        }

    def check_connection(self, request: HttpRequest, destination: Destination) -> HttpResponse:
        if "HX-Request" not in request.headers:
            return redirect(self.address(destination))
        return self.render(request, "backupsite/check_report.html", report=check_destination(destination))

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        self.refuse_unless(self.has_add_permission(request))
        kind = request.GET.get("kind", "")
        if kind not in Destination.Kind.values:
            return self.render(request, "backups/choose_kind.html", title=_("Add a destination"))
        return self._form(request, Destination(kind=kind), kind, existing=None)

    def edit(self, request: HttpRequest, destination: Destination) -> HttpResponse:
        return self._form(request, destination, destination.kind, existing=destination)

    def _form(self, request: HttpRequest, row: Destination, kind: str, existing: Destination | None) -> HttpResponse:
        form = DestinationForm(posted(request), kind=kind, destination=existing)
        if existing:
            title = _("Edit %(name)s") % {"name": existing}
        else:
            title = _("Add a destination: %(kind)s") % {"kind": Destination.Kind(kind).label}

        def save() -> Destination:
            return save_destination(destination=row, values=form.values(), create=existing is None)

        return self.form_page(request, form=form, save=save, existing=existing, title=title)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        self.refuse_unless(self.has_delete_permission(request))
        destination = self.object_or_404(request, object_id)
        if request.method == "POST":
            done = _("%(name)s was removed.") % {"name": destination}
            return self.delete_through(request, destination, lambda: delete_destination(destination=destination), done)
        consequences = [
            _("Only a destination that holds no artefact and that no Database names can be deleted."),
            _("Nothing is removed from the folder or bucket."),
        ]
        title = _("Delete %(name)s?") % {"name": destination}
        return self.confirm_page(request, destination, title=title, consequences=consequences)


def place_of(destination: Destination) -> str:
    if destination.kind == Destination.Kind.LOCAL:
        return destination.path
    return "/".join(part for part in (f"s3://{destination.bucket}", destination.prefix.strip("/")) if part)


def _artefacts(count: int) -> str:
    return ngettext("%(n)s artefact", "%(n)s artefacts", count) % {"n": count}


def _facts(destination: Destination) -> list[tuple[str, Any]]:
    """What is set of what its kind has."""
    remote = ("endpoint_url", "region", "access_key", *S3_OBJECTS)
    fields = () if destination.kind == Destination.Kind.LOCAL else remote
    named = [(str(WORDS[name]), getattr(destination, name)) for name in (*fields, "queue")]
    if destination.kind == Destination.Kind.LOCAL:
        named.insert(0, (_("Kept free"), size(destination.reserve_bytes)))
    elif destination.has_secret_key:
        named.append((_("Secret key"), _("set")))
    return [(name, value) for name, value in named if value]
