"""Change one's own password."""

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters

from accounts.selectors import gate_of
from accounts.services.passwords import change_password
from accounts.services.sessions import GATE, keep_session
from audit.services.draft import say
from backupsite.account.forms import PasswordForm
from backupsite.account.pages import show
from jobs.admin.pages import posted


@sensitive_post_parameters()
def change(request: HttpRequest) -> HttpResponse:
    """Every other session and token of the user ends; this one goes on."""
    form = PasswordForm(posted(request), request=request)
    if form.is_valid() and form.save_through(lambda: _change(request, form.cleaned_data["new_password"])):
        messages.success(request, _("Your password is changed. Other browsers and programs are logged out."))
        return redirect("admin:index")
    return show(
        request,
        "accounts/password.html",
        title=_("Choose a new password"),
        form=form,
        submit=_("Change the password"),
        back=reverse("account"),
    )


def _change(request: HttpRequest, new: str) -> bool:
    old_key = request.session.session_key
    change_password(user=request.user, new=new, keep=old_key)
    update_session_auth_hash(request, request.user)  # type: ignore[arg-type]  # only who is logged in gets here
    keep_session(request=request, old_key=old_key)
    request.session[GATE] = gate_of(request.user)
    say(action="password.change")
    return True
