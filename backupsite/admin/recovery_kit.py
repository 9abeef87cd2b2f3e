"""The recovery kit: who took it, and taking it, for which the password is asked again."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from rest_framework.exceptions import AuthenticationFailed, Throttled
from unfold.decorators import display

from backups.models import KitDownload
from backups.services.recovery_kit import take_kit
from backupsite.api.services.login import check_password
from jobs.admin.forms import PageForm
from jobs.admin.pages import PageAdmin, posted
from jobs.errors import BackupError
from jobs.roles import Role
from jobs.templatetags.backupsite import moment


class KitForm(PageForm):
    password = forms.CharField(
        label=_("Your password"),
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        strip=False,
        help_text=_("Asked again. That you took the kit is recorded, and told to whoever is notified."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        about = gettext(
            "One text file with every key of this site, the address and login of every destination, and the commands "
            "that bring a lost site back. Whoever holds it can read every backup: keep it away from this server, and "
            "secret."
        )
        self.sections = ((gettext("Take the recovery kit"), about, ("password",)),)


@admin.register(KitDownload)
class KitAdmin(PageAdmin):
    view_role = Role.ADMIN
    list_display = ("taken_at", "by_name", "keys")
    list_display_links = None
    empty_hint = _("Nobody has taken the kit yet.")
    add_label = _("Take the recovery kit")

    def get_model_perms(self, request: HttpRequest) -> dict[str, bool]:
        return {name: allowed for name, allowed in super().get_model_perms(request).items() if name in ("view", "add")}

    @display(description=_("Taken"), ordering="at")
    def taken_at(self, download: KitDownload) -> str:
        return moment(download.at)

    @display(description=_("Fingerprint"))
    def keys(self, download: KitDownload) -> str:
        return download.fingerprint[:12]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # an audit trail

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        self.refuse_unless(self.has_view_permission(request))
        return redirect(self.list_address())

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        self.refuse_unless(self.has_add_permission(request))
        return never_cache(self._take)(request)

    def _take(self, request: HttpRequest) -> HttpResponse:
        form = KitForm(posted(request))
        if request.method == "POST" and form.is_valid() and (kit := _kit(request, form)) is not None:
            answer = HttpResponse(kit, content_type="text/plain; charset=utf-8")
            name = f"backupsite-recovery-kit-{timezone.now():%Y-%m-%d}.txt"
            answer["Content-Disposition"] = f'attachment; filename="{name}"'
            return answer
        return self.render(
            request,
            "backupsite/form_page.html",
            form=form,
            title=_("Recovery kit"),
            back=self.list_address(),
            submit=_("Download the kit"),
        )


def _kit(request: HttpRequest, form: KitForm) -> str | None:
    """None when the password is not right, or guessed too often, or a key is missing: the form says so."""
    name = request.user.get_username()
    try:
        check_password(request=request, user=request.user, password=form.cleaned_data["password"])
        return take_kit(user=request.user, by_name=name)
    except AuthenticationFailed:
        form.add_error("password", _("This is not your password."))
    except Throttled as throttled:
        form.add_error("password", str(throttled.detail))
    except BackupError as error:
        form.add_error(None, str(error))
    return None
