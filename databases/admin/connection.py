"""What the form does about a connection before it is saved: read a pasted string, and try it. POST only."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from databases.admin.form import DatabaseForm
from databases.connection_string import Read, read_connection_string
from databases.engines import registry
from databases.engines.base import CheckReport
from databases.models import Database
from databases.services.check import check_values
from jobs.admin.pages import PageAdmin
from jobs.errors import BackupError


class ConnectionPages(PageAdmin):
    """Mixed into the admin of Databases."""

    def connection_routes(self) -> list[URLPattern]:
        def new(name: str, view: Any) -> URLPattern:
            guarded = self.admin_site.admin_view(never_cache(require_POST(view)))
            return path(f"{name}/", guarded, name=f"databases_database_{name.replace('-', '_')}")

        return [
            new("read-connection", self.read_connection),
            new("check-new", self.check_new),
            self.post_route("check-edited", self.check_edited, self.change_role),
        ]

    def read_connection(self, request: HttpRequest) -> HttpResponse:
        """What a connection string says, by field; of a secret only where it stands in the text."""
        self.refuse_unless(self.has_add_permission(request))
        text = request.POST.get("connection_string", "")
        try:
            read = read_connection_string(text, engine=request.POST.get("engine", ""))
        except BackupError as error:
            return JsonResponse({"fault": str(error)})
        spans = {name: [span.start, span.end, span.encoded] for name, span in read.secrets.items()}
        return JsonResponse({"fields": read.fields, "secrets": spans, "said": said_of(read)})

    def check_new(self, request: HttpRequest) -> HttpResponse:
        self.refuse_unless(self.has_add_permission(request))
        engine = request.POST.get("engine", "")
        if engine not in registry.kinds():
            return HttpResponse(status=400)
        return self._check(request, DatabaseForm(request.POST, engine=engine), Database(engine=engine))

    def check_edited(self, request: HttpRequest, database: Database) -> HttpResponse:
        """With the stored secrets, where none was typed."""
        form = DatabaseForm(request.POST, engine=database.engine, database=database)
        return self._check(request, form, database)

    def _check(self, request: HttpRequest, form: DatabaseForm, database: Database) -> HttpResponse:
        return self.render(request, "backupsite/check_report.html", report=_tried(form, database))


def said_of(read: Read) -> str:
    said = _("Read into the fields below.")
    if read.secrets:
        said = _("Read into the fields below, the secret too: it is sent only when you check or save.")
    if read.left_out:
        left = _("Left out, as nothing here takes it: %(names)s.") % {"names": ", ".join(read.left_out)}
        return f"{said} {left}"
    return said


def _tried(form: DatabaseForm, database: Database) -> CheckReport:
    form.full_clean()
    faults = {name: [*map(str, texts)] for name, texts in form.errors.items() if name in form.connection_names}
    if not faults:
        try:
            return check_values(database=database, values=form.connection_values())
        except ValidationError as fault:
            faults = fault.message_dict
    told = [f"{_label(form, name)}: {' '.join(texts)}" for name, texts in faults.items()]
    return CheckReport(ok=False, error=_("This cannot be tried yet."), hint=" ".join(told))


def _label(form: forms.Form, name: str) -> str:
    return str(form[name].label) if name in form.fields else name.removeprefix("options.")
