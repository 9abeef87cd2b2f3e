"""Pages of the admin: read by one role, changed by another, every change a POST that calls one service."""

from collections.abc import Callable
from copy import copy
from typing import Any, ClassVar

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe
from unfold.admin import ModelAdmin

from jobs.admin.forms import PageForm
from jobs.errors import BackupError
from jobs.roles import Role, role_of

Handler = Callable[[HttpRequest, Any], HttpResponse]


class RoleAdmin(ModelAdmin):
    """Permissions by role instead of by Django's rows of permissions, which groups made by a migration cannot have."""

    view_role: ClassVar[Role] = Role.VIEWER
    run_role: ClassVar[Role] = Role.OPERATOR
    change_role: ClassVar[Role] = Role.ADMIN
    actions: Any = None  # no bulk deletion: each deletion says its consequences first
    list_per_page = 30
    empty_hint: ClassVar[str | Promise] = ""  # what to do where a list is still empty
    add_label: ClassVar[str | Promise] = ""  # of the button there, where "Add ..." is not what it does

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        asked = request.GET.copy()
        for name in [name for name, values in request.GET.lists() if any("\0" in value for value in values)]:
            del asked[name]  # no row holds that sign, and PostgreSQL refuses to look for it
        request.GET = asked  # type: ignore[assignment]  # Django does the same
        answer: HttpResponse = super().changelist_view(request, extra_context)
        return answer

    def has_module_permission(self, request: HttpRequest) -> bool:
        return role_of(request.user) >= self.view_role

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return role_of(request.user) >= self.view_role

    def has_run_permission(self, request: HttpRequest) -> bool:
        return role_of(request.user) >= self.run_role

    def has_add_permission(self, request: HttpRequest) -> bool:
        return role_of(request.user) >= self.change_role

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return role_of(request.user) >= self.change_role

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return role_of(request.user) >= self.change_role


class PageAdmin(RoleAdmin):
    """A model whose object has a page to read at the address that Django's form would have."""

    page_template: ClassVar[str]

    def page_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        """What the page shows beside `object`."""
        return {}

    def page_routes(self) -> list[URLPattern]:
        """Addresses of this model's own actions, made with `post_route` and `form_route`."""
        return []

    def get_urls(self) -> list[URLPattern]:
        return [*self.page_routes(), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return require_safe(self._page)(request, object_id)

    def _page(self, request: HttpRequest, object_id: str) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        obj = self.object_or_404(request, object_id)
        context = {"title": str(obj), **self.page_context(request, obj)}
        return self.render(request, self.page_template, object=obj, **context)

    # Forms

    def form_page(
        self,
        request: HttpRequest,
        *,
        form: PageForm,
        save: Callable[[], Any],
        title: str,
        existing: Any = None,
        back: str = "",
        template: str = "backupsite/form_page.html",
        **context: Any,
    ) -> HttpResponse:
        """Shows the form, or saves it through one service and goes to the page. The history names fields, no values."""
        if request.method == "POST":
            if form.is_valid():
                saved = form.save_through(save)
                if saved is not None:
                    self._record(request, saved, form, added=existing is None)
                    messages.success(request, _("%(name)s was saved.") % {"name": saved})
                    return redirect(back or self.address(saved))
            else:
                form.ask_secrets_again()
        back = back or (self.address(existing) if existing else self.list_address())
        shown = {"form": form, "title": title, "object": existing, "back": back, "submit": _("Save"), **context}
        return self.render(request, template, **shown)

    def _record(self, request: HttpRequest, obj: Any, form: PageForm, *, added: bool) -> None:
        if added:
            self.log_addition(request, obj, [{"added": {}}])
        elif form.changed_data:
            self.log_change(request, obj, [{"changed": {"fields": form.changed_data}}])

    def confirm_page(self, request: HttpRequest, obj: Any, *, title: str, consequences: list[str]) -> HttpResponse:
        return self.render(
            request,
            "backupsite/confirm_page.html",
            object=obj,
            title=title,
            consequences=consequences,
            back=self.address(obj),
        )

    def delete_through(self, request: HttpRequest, obj: Any, call: Callable[[], Any], done: str) -> HttpResponse:
        """Deletes through one service; what it refuses is said on the object's page."""
        page, row = self.address(obj), copy(obj)  # a deleted object forgets its id
        if not tell(request, call, done):
            return redirect(page)
        self.log_deletions(request, [row])
        return redirect(self.list_address())

    def refuse_unless(self, allowed: bool) -> None:
        if not allowed:
            raise PermissionDenied

    # Helpers

    def list_address(self) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")

    def object_or_404(self, request: HttpRequest, object_id: str) -> Any:
        """By its id, also as Django's own links quote it (`bkp_5Fabc`): ids are lower-case, so both cannot exist."""
        obj = self.get_object(request, object_id) or self.get_object(request, unquote(object_id))
        if obj is None:
            raise Http404(f"No {self.opts.verbose_name} has the id {object_id!r}.")
        return obj

    def render(self, request: HttpRequest, template: str, **context: Any) -> HttpResponse:
        role = role_of(request.user)
        shared = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "may_run": role >= self.run_role,
            "may_change": role >= self.change_role,
        }
        return render(request, template, {**shared, **context})

    def address(self, obj: Any, name: str = "change") -> str:
        """The address of an object's page, or of an action of it."""
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_{name}", args=[obj.pk])

    def post_route(self, name: str, handler: Handler, role: Role) -> URLPattern:
        """`<id>/<name>/`: answers POST only, to who has the role. The handler gets the object."""
        return self._route(name, require_POST, handler, role)

    def form_route(self, name: str, handler: Handler, role: Role) -> URLPattern:
        """`<id>/<name>/`: GET shows a form and changes nothing, POST does it."""
        return self._route(name, lambda view: view, handler, role)

    def read_route(self, name: str, handler: Handler, role: Role) -> URLPattern:
        return self._route(name, require_safe, handler, role)

    def _route(self, name: str, method: Callable[[Any], Any], handler: Handler, role: Role) -> URLPattern:
        def view(request: HttpRequest, object_id: str) -> HttpResponse:
            if role_of(request.user) < role:
                raise PermissionDenied
            return handler(request, self.object_or_404(request, object_id))

        info = f"{self.opts.app_label}_{self.opts.model_name}_{name}"
        route: URLPattern = path(f"<str:object_id>/{name}/", self.admin_site.admin_view(method(view)), name=info)
        return route


def tell(request: HttpRequest, call: Callable[[], Any], done: str) -> bool:
    """Calls a service and says what came of it; False when it refused."""
    try:
        call()
    except BackupError as error:
        messages.error(request, str(error))
        request.refused = str(error)  # type: ignore[attr-defined]  # for the audit
        return False
    messages.success(request, done)
    return True


def posted(request: HttpRequest) -> QueryDict | None:
    """What a form was sent, which may be nothing at all; None when it was not sent."""
    return request.POST if request.method == "POST" else None
