"""API keys: named, with a role and an expiry, shown once."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.cache import never_cache
from unfold.decorators import display

from backupsite.api.models import ApiKey
from backupsite.api.models import Role as KeyRole
from backupsite.api.services.api_keys import create_api_key, revoke_api_key
from jobs.admin.forms import PageForm
from jobs.admin.pages import PageAdmin, posted, tell
from jobs.roles import Role
from jobs.templatetags.backupsite import distance


class ApiKeyForm(PageForm):
    sections = (("Key", "", ("name", "role", "expires_at")),)

    name = forms.CharField(max_length=200, help_text="Which program will hold it.")
    role = forms.ChoiceField(choices=KeyRole.choices, initial=KeyRole.VIEWER)
    expires_at = forms.DateTimeField(
        required=False,
        label="Expires",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"],
        help_text="In UTC. Empty: never.",
    )


@admin.register(ApiKey)
class ApiKeyAdmin(PageAdmin):
    view_role = Role.ADMIN
    page_template = "api/key.html"
    list_display = ("name", "role", "state", "last_used", "expires", "created_by")
    search_fields = ("id", "name")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiKey]:
        return ApiKey.objects.select_related("created_by")

    @display(description="State")
    def state(self, key: ApiKey) -> SafeString:
        return key_state(key)

    @display(description="Last used", ordering="last_used_at")
    def last_used(self, key: ApiKey) -> str:
        return distance(key.last_used_at)

    @display(description="Expires", ordering="expires_at")
    def expires(self, key: ApiKey) -> str:
        return distance(key.expires_at)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # revoked keys stay listed

    def page_routes(self) -> list[URLPattern]:
        return [self.post_route("revoke", self.revoke, Role.ADMIN)]

    def page_context(self, request: HttpRequest, obj: ApiKey) -> dict[str, Any]:
        return {"state": key_state(obj), "revoke_url": self.address(obj, "revoke")}

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
            title="Add an API key",
            back=self.list_address(),
            submit="Make the key",
        )

    def revoke(self, request: HttpRequest, key: ApiKey) -> HttpResponse:
        tell(request, lambda: revoke_api_key(key=key), f"{key.name} is revoked.")
        self.log_change(request, key, [{"changed": {"fields": ["revoked_at"]}}])
        return redirect(self.address(key))


def key_state(key: ApiKey) -> SafeString:
    if key.usable:
        return mark_safe('<span class="bks-badge bks-completed">usable</span>')
    return mark_safe(f'<span class="bks-badge">{"revoked" if key.revoked_at else "expired"}</span>')
