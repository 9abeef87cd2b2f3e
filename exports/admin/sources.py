"""Sources of user data: a form for each kind, and a check."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from databases.admin.options import FIRST, option_field, option_label
from exports.models import Source
from exports.selectors import lacks_address
from exports.services.build_source import build_source, check_source
from exports.services.save_source import delete_source, save_source
from exports.sources import registry
from jobs.admin.forms import KEEP, PageForm, SecretField
from jobs.admin.pages import PageAdmin, posted
from jobs.errors import BackupError
from jobs.templatetags.backupsite import two_lines
from jobs.templatetags.parts import state_badge

FIRST_OF_SOURCES = FIRST | {"relays", "kinds"}
PREFIX = "options."


class SourceForm(PageForm):
    """Made for one kind; the fields of its options are named `options.NAME`, as faults name them."""

    must = frozenset({"options.url", "options.relays"})

    def __init__(self, *args: Any, source: Source, **kwargs: Any) -> None:
        kind, options = registry.source_class(source.kind), registry.option_fields(source.kind)
        initial = {"id": source.pk, "name": source.name, "enabled": source.enabled, "username": source.username}
        initial |= {PREFIX + name: value for name, value in source.options.items()}
        super().__init__(*args, **{"initial": initial, **kwargs})
        self.adding = source._state.adding
        if self.adding:
            self.fields["id"] = forms.CharField(max_length=63, help_text=_("It names the folder in every export."))
        self.fields["name"] = forms.CharField(max_length=200, label=_("Name"))
        self.fields["enabled"] = forms.BooleanField(required=False, initial=True, label=_("Enabled"))
        if "username" in kind.connection_fields:
            self.fields["username"] = forms.CharField(max_length=255, required=False, label=_("User"))
        if "password" in kind.connection_fields:
            self.fields["password"] = SecretField(is_set="password" in source.secret_names, label=_("Password"))
        for option in options:
            is_set = PREFIX + option.name in source.secret_names
            self.fields[PREFIX + option.name] = option_field(option, is_set=is_set)
        names = tuple(PREFIX + option.name for option in options)
        self.folded = frozenset(name for name in names if name.removeprefix(PREFIX) not in FIRST_OF_SOURCES)
        self.sections = (
            (kind.label, kind.about, ("id", "name", "enabled")),
            (_("Where the data is"), "", (*names, "username", "password")),
        )

    def values(self) -> dict[str, Any]:
        """Secrets that stay are left out, and numbers that are not given: they are as by default."""
        said = {name: value for name, value in self.cleaned_data.items() if value is not KEEP and value is not None}
        options = {name.removeprefix(PREFIX): value for name, value in said.items() if name.startswith(PREFIX)}
        values = {name: value for name, value in said.items() if not name.startswith(PREFIX) and name != "id"}
        return {**values, "options": options} | ({"id": said["id"]} if self.adding else {})


@admin.register(Source)
class SourceAdmin(PageAdmin):
    page_template = "exports/source.html"
    list_before_template = "exports/no_address.html"
    list_display = ("what", "state", "collections")
    search_fields = ("id", "name")
    search_help_text = _("Search by name or id")
    empty_hint = _("Say where the data of users is, so that they can ask for an export of it.")

    @display(description=_("Source"), ordering="name")
    def what(self, source: Source) -> SafeString:
        return two_lines(source.name, source.get_kind_display())

    @display(description=_("State"), ordering="enabled")
    def state(self, source: Source) -> SafeString:
        return _state(source)

    @display(description=_("Collections"))
    def collections(self, source: Source) -> str:
        return ", ".join(_collections(source)) or "–"

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return super().changelist_view(request, {**(extra_context or {}), "no_address": lacks_address()})

    def page_routes(self) -> list[URLPattern]:
        return [
            self.post_route("check", self.ask, self.change_role),
            self.form_route("edit", self.edit, self.change_role),
        ]

    def page_context(self, request: HttpRequest, obj: Source) -> dict[str, Any]:
        return {
            "no_address": lacks_address(),
            "state": _state(obj),
            "collections": _collections(obj),
            "facts": [
                (option_label(name), _said(value))
                for name, value in obj.options.items()
                if value not in ("", None, [], {})
            ],
            "secrets": [option_label(name.removeprefix(PREFIX)) for name in obj.secret_names],
            "check_url": self.address(obj, "check"),
            "edit_url": self.address(obj, "edit"),
            "delete_url": self.address(obj, "delete"),
        }

    def ask(self, request: HttpRequest, source: Source) -> HttpResponse:
        return self.render(request, "backupsite/check_report.html", report=check_source(source=source))

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        self.refuse_unless(self.has_add_permission(request))
        kind = request.GET.get("kind", "")
        if kind not in Source.Kind.values:
            kinds = [(kind, found.label, found.about) for kind, found in registry.SOURCES.items()]
            title = gettext("Add a source of user data")
            return self.render(request, "exports/choose_kind.html", title=title, kinds=kinds)
        return self._form(request, Source(kind=kind), existing=None)

    def edit(self, request: HttpRequest, source: Source) -> HttpResponse:
        return self._form(request, source, existing=source)

    def _form(self, request: HttpRequest, row: Source, existing: Source | None) -> HttpResponse:
        form = SourceForm(posted(request), source=row)
        title = gettext("Edit %(name)s") % {"name": existing} if existing else gettext("Add a source of user data")

        def save() -> Source:
            return save_source(source=row, values=form.values(), create=existing is None)

        return self.form_page(request, form=form, save=save, existing=existing, title=title)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        self.refuse_unless(self.has_delete_permission(request))
        source = self.object_or_404(request, object_id)
        if request.method == "POST":
            done = gettext("%(name)s was removed.") % {"name": source}
            return self.delete_through(request, source, lambda: delete_source(source=source), done)
        lines = [gettext("New exports hold nothing of it. Those that were made stay as they are.")]
        title = gettext("Delete %(name)s?") % {"name": source}
        return self.confirm_page(request, source, title=title, consequences=lines)


def _state(source: Source) -> SafeString:
    if source.enabled:
        return state_badge("good", "check_circle", gettext("enabled"))
    return state_badge("quiet", "pause_circle", gettext("disabled"))


def _collections(source: Source) -> tuple[str, ...]:
    try:
        return build_source(source=source).collections
    except BackupError:
        return ()


def _said(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | dict) else str(value)
