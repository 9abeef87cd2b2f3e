"""API keys: named, with a role and an expiry, shown once."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from audit.models import Entry
from backupsite.admin.filters import KeyStateFilter
from backupsite.admin.users import ROLES
from backupsite.api.models import ApiKey
from backupsite.api.models import Role as KeyRole
from backupsite.api.services.api_keys import create_api_key, revoke_api_key
from jobs.admin.forms import PageForm
from jobs.admin.moments import MomentField, in_zone
from jobs.admin.pages import PageAdmin, posted, tell
from jobs.roles import Role
from jobs.templatetags.backupsite import distance, two_lines
from jobs.templatetags.parts import state_badge

RECENT = 10


class ApiKeyForm(PageForm):
    sections = ((_("Key"), "", ("name", "role", "expires_at")),)

    name = forms.CharField(label=_("Name"), max_length=200, help_text=_("Which program will hold it."))
    role = forms.ChoiceField(
        label=_("Role"),
        choices=ROLES,
        initial=KeyRole.VIEWER,
        help_text=_("Never more than you may yourself: who is demoted takes their keys along."),
    )
    expires_at = MomentField(required=False, label=_("Expires"), help_text=in_zone(_("In %(zone)s. Empty: never.")))


@admin.register(ApiKey)
class ApiKeyAdmin(PageAdmin):
    view_role = Role.ADMIN
    page_template = "api/key.html"
    list_display = ("named", "role_shown", "state", "last_used", "expires", "made_by")
    list_filter = (("role", ChoicesDropdownFilter), KeyStateFilter)
    list_filter_submit = True
    search_fields = ("id", "name", "created_by__username")
    search_help_text = _("Search by name or id")
    add_label = _("Add an API key")
    empty_hint = _("A key lets one program call the API, with a role of its own and without anybody's password.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiKey]:
        return ApiKey.objects.select_related("created_by")

    @display(description=_("Key"), ordering="name")
    def named(self, key: ApiKey) -> SafeString:
        return two_lines(key.name, key.pk)

    @display(description=_("Role"), ordering="role")
    def role_shown(self, key: ApiKey) -> str:
        return key.get_role_display()

    @display(description=_("Made by"), ordering="created_by__username")
    def made_by(self, key: ApiKey) -> Any:
        return key.created_by or "–"

    @display(description=_("State"))
    def state(self, key: ApiKey) -> SafeString:
        return key_state(key)

    @display(description=_("Last used"), ordering="last_used_at")
    def last_used(self, key: ApiKey) -> str:
        return distance(key.last_used_at)

    @display(description=_("Expires"), ordering="expires_at")
    def expires(self, key: ApiKey) -> Any:
        return distance(key.expires_at) if key.expires_at else _("never")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # revoked keys stay listed

    def page_routes(self) -> list[URLPattern]:
        return [self.post_route("revoke", self.revoke, Role.ADMIN)]

    def page_context(self, request: HttpRequest, obj: ApiKey) -> dict[str, Any]:
        return {
            "state": key_state(obj),
            "revoke_url": self.address(obj, "revoke"),
            "entries": Entry.objects.filter(via=Entry.Via.KEY, through__endswith=f"({obj.pk})")[:RECENT],
        }

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        self.refuse_unless(self.has_add_permission(request))
        return never_cache(self._add)(request)

    def _add(self, request: HttpRequest) -> HttpResponse:
        form = ApiKeyForm(posted(request))
        if request.method == "POST" and form.is_valid():
            made = form.save_through(lambda: create_api_key(**form.cleaned_data, user=request.user))
            if made is not None:
                key, secret = made
                self.log_addition(request, key, [{"added": {}}])
                return self.render(request, "api/key_once.html", object=key, secret=secret, title=key.name)
        return self.render(
            request,
            "backupsite/form_page.html",
            form=form,
            title=_("Add an API key"),
            back=self.list_address(),
            submit=_("Make the key"),
        )

    def revoke(self, request: HttpRequest, key: ApiKey) -> HttpResponse:
        tell(request, lambda: revoke_api_key(key=key), gettext("%(name)s is revoked.") % {"name": key.name})
        self.log_change(request, key, [{"changed": {"fields": ["revoked_at"]}}])
        return redirect(self.address(key))


def key_state(key: ApiKey) -> SafeString:
    if key.usable:
        return state_badge("good", "check_circle", gettext("usable"))
    if key.revoked_at:
        return state_badge("bad", "block", gettext("revoked"))
    return state_badge("quiet", "schedule", gettext("expired"))
