"""Destinations: where artefacts live; a form for each kind, and a check."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db import models
from django.db.models import Count, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils.safestring import SafeString
from unfold.decorators import display

from backups.destinations import check_destination
from backups.models import Copy, Destination
from backups.services.save_destination import delete_destination, save_destination
from jobs.admin.forms import KEEP, PageForm, SecretField, Section
from jobs.admin.pages import PageAdmin, posted
from jobs.templatetags.backupsite import size, two_lines

LOCAL = ("path", "reserve_bytes")
S3_PLACE = ("bucket", "prefix", "endpoint_url", "region", "addressing")
S3_RIGHTS = ("access_key", "secret_key", "ca")
S3_OBJECTS = ("storage_class", "server_side_encryption", "kms_key_id")
S3_LOCK = ("object_lock_mode", "object_lock_days")
WORDS = {  # where the name of the column is no word
    "id": "Id",
    "is_default": "Default",
    "off_site": "Off-site",
    "endpoint_url": "Endpoint URL",
    "ca": "CA certificates",
    "server_side_encryption": "Server-side encryption",
    "kms_key_id": "KMS key",
    "object_lock_mode": "Object Lock mode",
    "object_lock_days": "Object Lock days",
}
HELD = (
    "The bucket needs Object Lock, which is chosen when it is made. Retention leaves alone what the store still holds."
)


class DestinationForm(PageForm):
    """Made for one kind, from the model's own fields."""

    def __init__(self, *args: Any, kind: str, destination: Destination | None = None, **kwargs: Any) -> None:
        self.kind = kind
        self.destination = destination
        names = ["name", "is_default", "off_site", "queue"]
        names += list(LOCAL) if kind == Destination.Kind.LOCAL else [*S3_PLACE, *S3_RIGHTS, *S3_OBJECTS, *S3_LOCK]
        if destination is None:
            names.insert(1, "id")
        self.names = names
        kwargs.setdefault("initial", {name: getattr(destination, name, None) for name in names} if destination else {})
        super().__init__(*args, **kwargs)
        for name in names:
            if name == "secret_key":
                self.fields[name] = SecretField(is_set=bool(destination and destination.has_secret_key))
            else:
                self.fields[name] = _model_field(name)
        if "id" in self.fields:
            self.fields["id"] = forms.CharField(
                required=False, max_length=63, help_text="Never changes. Empty: one is made."
            )
        for name in WORDS.keys() & self.fields.keys():
            self.fields[name].label = WORDS[name]
        self.sections: tuple[Section, ...] = (
            ("Destination", "", ("name", "id", "is_default", "off_site", "queue")),
            ("Folder", "", LOCAL),
            ("Bucket", "", S3_PLACE),
            ("Access", "", S3_RIGHTS),
            ("Objects", "", S3_OBJECTS),
            ("Object Lock", HELD, S3_LOCK),
        )

    def values(self) -> dict[str, Any]:
        values = {name: self.cleaned_data[name] for name in self.names if self.cleaned_data[name] is not KEEP}
        if not values.get("id"):
            values.pop("id", None)
        return values if self.destination else {**values, "kind": self.kind}


@admin.register(Destination)
class DestinationAdmin(PageAdmin):
    page_template = "backups/destination.html"
    list_display = ("what", "kind", "where", "copy_count", "copy_bytes", "is_default")
    search_fields = ("id", "name", "path", "bucket")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Destination]:
        return Destination.objects.annotate(copy_count=Count("copies"), copy_bytes=Sum("copies__backup__size"))

    @display(description="Destination", ordering="name")
    def what(self, destination: Destination) -> SafeString:
        return two_lines(destination.name, destination.pk)

    @display(description="Where")
    def where(self, destination: Destination) -> str:
        return place_of(destination)

    @display(description="Artefacts", ordering="copy_count")
    def copy_count(self, destination: Any) -> int:
        return int(destination.copy_count)

    @display(description="Stored", ordering="copy_bytes")
    def copy_bytes(self, destination: Any) -> str:
        return size(destination.copy_bytes or 0)

    def page_routes(self) -> list[URLPattern]:
        return [
            self.post_route("check", self.check_connection, self.run_role),
            self.form_route("edit", self.edit, self.change_role),
        ]

    def page_context(self, request: HttpRequest, obj: Destination) -> dict[str, Any]:
        return {
            "place": place_of(obj),
            "facts": _facts(obj),
            "damaged": obj.copies.filter(state=Copy.State.QUARANTINED).select_related("backup")[:20],
            "databases": [placement.database for placement in obj.placements.select_related("database")],
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
            return self.render(request, "backups/choose_kind.html", title="Add Destination", choices=Destination.Kind)
        return self._form(request, Destination(kind=kind), kind, existing=None)

    def edit(self, request: HttpRequest, destination: Destination) -> HttpResponse:
        return self._form(request, destination, destination.kind, existing=destination)

    def _form(self, request: HttpRequest, row: Destination, kind: str, existing: Destination | None) -> HttpResponse:
        form = DestinationForm(posted(request), kind=kind, destination=existing)
        title = f"Edit {existing}" if existing else f"Add a destination: {Destination.Kind(kind).label}"

        def save() -> Destination:
            return save_destination(destination=row, values=form.values(), create=existing is None)

        return self.form_page(request, form=form, save=save, existing=existing, title=title)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        self.refuse_unless(self.has_delete_permission(request))
        destination = self.object_or_404(request, object_id)
        if request.method == "POST":
            done = f"{destination} was removed."
            return self.delete_through(request, destination, lambda: delete_destination(destination=destination), done)
        consequences = [
            "Only a destination that holds no artefact and that no Database names can be deleted.",
            "Nothing is removed from the folder or bucket.",
        ]
        return self.confirm_page(request, destination, title=f"Delete {destination}?", consequences=consequences)


def _model_field(name: str) -> forms.Field:
    """The form field that the model's own column would have."""
    more: dict[str, Any] = {"assume_scheme": "https"} if name == "endpoint_url" else {}
    field = _column(name).formfield(**more)
    assert field is not None
    return field


def _column(name: str) -> "models.Field[Any, Any]":
    column = Destination._meta.get_field(name)
    assert isinstance(column, models.Field)
    return column


def place_of(destination: Destination) -> str:
    if destination.kind == Destination.Kind.LOCAL:
        return destination.path
    return "/".join(part for part in (f"s3://{destination.bucket}", destination.prefix.strip("/")) if part)


def _word(name: str) -> str:
    return WORDS.get(name) or str(_column(name).verbose_name)


def _facts(destination: Destination) -> list[tuple[str, Any]]:
    remote = ("endpoint_url", "region", "access_key", *S3_OBJECTS, *S3_LOCK)
    fields = () if destination.kind == Destination.Kind.LOCAL else remote
    named = [(_word(name), getattr(destination, name)) for name in (*fields, "queue")]
    if destination.kind == Destination.Kind.LOCAL:
        named.insert(0, ("kept free", size(destination.reserve_bytes)))
    return [(name, value) for name, value in named if value]
