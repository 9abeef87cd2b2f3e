"""Clone a Database in the admin: a name, and then its form, disabled as it is."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from backups.services.clone import clone_database
from databases.models import Database
from jobs.admin.forms import PageForm
from jobs.admin.pages import posted


class CloneForm(PageForm):
    sections = (
        (
            gettext_lazy("The clone"),
            gettext_lazy(
                "It gets the connection with its secrets, the schedule, the limits, the destinations, the masking and "
                "the drill plan. It begins paused, and has no backups."
            ),
            ("name", "id"),
        ),
    )

    name = forms.CharField(label=gettext_lazy("Name"), max_length=200)
    id = forms.CharField(
        label=gettext_lazy("Id"),
        max_length=63,
        required=False,
        help_text=gettext_lazy("Lower-case letters, digits, '-' and '_'; never changes. Empty: one is made."),
    )


def clone_page(admin: Any, request: HttpRequest, database: Database) -> HttpResponse:
    initial = {"name": _("%(name)s (clone)") % {"name": database.name}}
    form = CloneForm(posted(request), initial=initial)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        made = form.save_through(lambda: clone_database(database=database, name=given["name"], new_id=given["id"]))
        if made is not None:
            admin.log_addition(request, made, [{"added": {}}])
            messages.success(request, _("Cloned with its secrets. It is paused: look through it, then enable it."))
            return redirect(admin.address(made, "edit"))
    page: HttpResponse = admin.render(
        request,
        "backupsite/form_page.html",
        form=form,
        title=_("Clone %(name)s") % {"name": database.name},
        object=database,
        back=admin.address(database),
        submit=_("Clone"),
        refused=_("Nothing was cloned."),
    )
    return page
