"""What one's own account asks for."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import AuthenticationFailed, Throttled

from backupsite.api.services.login import check_code, check_password
from jobs.admin.forms import PageForm


def _password(label: Any, autocomplete: str, **values: Any) -> forms.CharField:
    widget = forms.PasswordInput(attrs={"autocomplete": autocomplete})
    return forms.CharField(label=label, widget=widget, strip=False, max_length=4096, **values)


class AskedAgain(PageForm):
    """A form that asks somebody who is logged in for the password, or for a code, once more; both are counted."""

    def __init__(self, *args: Any, request: HttpRequest, **values: Any) -> None:
        super().__init__(*args, **values)
        self.request = request

    def clean_password(self) -> str:
        password = str(self.cleaned_data["password"])
        self._ask(lambda: check_password(request=self.request, user=self.request.user, password=password))
        return password

    def clean_code(self) -> str:
        code = str(self.cleaned_data["code"])
        self._ask(lambda: check_code(request=self.request, user=self.request.user, code=code))
        return code

    def _ask(self, call: Any) -> None:
        try:
            call()
        except Throttled as throttled:
            raise ValidationError(gettext("Too many attempts: try again in a few minutes.")) from throttled
        except AuthenticationFailed as failed:
            wrong = {"bad_otp": gettext("The code is wrong, or was used already.")}
            text = wrong.get(str(failed.get_codes()), gettext("This is not your password."))
            raise ValidationError(text) from failed


class PasswordForm(AskedAgain):
    sections = ((_("New password"), "", ("password", "new_password", "again")),)

    password = _password(_("Password so far"), "current-password")
    new_password = _password(
        _("New password"), "new-password", help_text=_("At least eight characters; a few words are easy to remember.")
    )
    again = _password(_("New password again"), "new-password")

    def clean_again(self) -> str:
        if self.cleaned_data.get("new_password") != self.cleaned_data["again"]:
            raise ValidationError(gettext("The two are not the same."))
        return str(self.cleaned_data["again"])


class CodeForm(AskedAgain):
    sections = ((_("A code of your second factor"), "", ("code",)),)

    code = forms.CharField(
        label=_("Code"),
        max_length=40,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "autofocus": True}),
        help_text=_("Six digits, or a recovery code."),
    )


class ConfirmFactorForm(AskedAgain):
    """The first code is asked of the secret that is not in use yet: the service looks at it, not this form."""

    sections = ((_("Confirm"), "", ("first_code", "password")),)

    first_code = forms.CharField(
        label=_("Code"),
        max_length=10,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
        help_text=_("The six digits that the app shows now."),
    )
    password = _password(_("Your password"), "current-password")

    def __init__(self, *args: Any, **values: Any) -> None:
        super().__init__(*args, **values)
        user: Any = self.request.user
        if not user.has_usable_password():
            del self.fields["password"]
