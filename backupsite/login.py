"""The login of the admin: the same count of attempts as the API's, so that guessing is slow at both doors.

Not in `backupsite.admin`: unfold imports it while it makes the admin site, before that package may register with it.
"""

from typing import Any

from django.core.exceptions import ValidationError
from rest_framework.exceptions import AuthenticationFailed, Throttled
from unfold.forms import AuthenticationForm

from backupsite.api.services.login import OtpRequired, log_in


class LoginForm(AuthenticationForm):  # type: ignore[misc]
    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = self.cleaned_data
        if not data.get("username") or not data.get("password"):
            return data
        try:
            self.user_cache = log_in(request=self.request, username=data["username"], password=data["password"])
        except OtpRequired as asked:
            self.request.code_is_asked_of = asked.user
            raise ValidationError(asked.default_detail, code="otp_required") from asked
        except Throttled as throttled:
            raise ValidationError(str(throttled.detail), code="throttled") from throttled
        except AuthenticationFailed as failed:
            raise self.get_invalid_login_error() from failed
        self.confirm_login_allowed(self.user_cache)
        return data
