"""Databases: the list with the newest backups, the page, the form, and `Back up now`."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from backups.admin.approvals import ask_through
from backups.admin.database_bulk import BulkActions
from backups.admin.database_clone import clone_page
from backups.admin.database_form import ProtectedForm
from backups.admin.database_list import DatabaseList, engine_icon, protection_badge, size_trend
from backups.admin.database_retention import RetentionPages
from backups.admin.database_tabs import TabPages
from backups.admin.restore_form import SelectiveForm
from backups.models import Backup, Destination
from backups.protection import protections
from backups.selectors import backups_with_copies, databases_with_states
from backups.services.ask_approval import ask_to_delete_database
from backups.services.protect import protect_database
from backups.services.request import request_backup
from backups.size_trend import recent_sizes
from backups.standing import standings
from databases.admin.words import words_of
from databases.engines import registry
from databases.models import Database
from databases.services.consent import needs_second_person
from databases.services.delete import delete_database
from jobs.admin.pages import posted
from jobs.errors import BackupError


@admin.register(Database)
class DatabaseAdmin(BulkActions, DatabaseList, RetentionPages, TabPages):
    empty_hint = gettext_lazy("PostgreSQL, MongoDB, a bucket or a service: paste its address and check it.")
    add_label = gettext_lazy("Add a Database")

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Database | None:
        """With what pages say of its backups, which the list asks for in another way."""
        found: Database | None = databases_with_states().filter(pk=object_id).first() if "\0" not in object_id else None
        return found

    def page_routes(self) -> list[URLPattern]:
        return [
            *super().page_routes(),
            *self.drill_routes(),
            *self.retention_routes(),
            *self.tab_routes(),
            self.post_route("back-up", self.back_up, self.run_role),
            self.form_route("back-up-selective", self.back_up_selective, self.run_role),
            self.form_route("edit", self.edit, self.change_role),
            self.form_route("clone", self.clone, self.change_role),
        ]

    def page_context(self, request: HttpRequest, obj: Database) -> dict[str, Any]:
        placement = obj.placements.select_related("destination").first()
        return {
            **self.head_context(request, obj),
            **self.drill_context(obj),
            "tabs": self.tabs(request, obj, "change"),
            "standing": protection_badge(standings(only=[obj.pk])[0]),
            "trend": size_trend(recent_sizes([obj.pk])[obj.pk]),
            "protection": protections([obj])[0],
            "destination": placement.destination if placement else Destination.objects.filter(is_default=True).first(),
            "latest": backups_with_copies().filter(database=obj)[:8],
        }

    def back_up(self, request: HttpRequest, database: Database) -> HttpResponse:
        kind = request.POST.get("type", Backup.Type.FULL)
        try:
            backup = request_backup(database=database, type=kind, user=request.user)
        except BackupError as error:
            messages.error(request, str(error))
            return redirect(self.address(database))
        return redirect("admin:backups_backup_change", backup.pk)

    def back_up_selective(self, request: HttpRequest, database: Database) -> HttpResponse:
        form = SelectiveForm(posted(request), database=database)
        if request.method == "POST" and form.is_valid():
            asked = {**form.values(), "type": Backup.Type.SELECTIVE, "user": request.user}
            backup = form.save_through(lambda: request_backup(database=database, **asked))
            if backup is not None:
                return redirect("admin:backups_backup_change", backup.pk)
        return self.render(
            request,
            "backupsite/form_page.html",
            form=form,
            title=_("Back up a part of %(name)s") % {"name": database},
            object=database,
            back=self.address(database),
            submit=_("Back up"),
            refused=_("Nothing was started."),
        )

    # The form

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        self.refuse_unless(self.has_add_permission(request))
        kinds = registry.kinds()
        engine = request.GET.get("engine") or (kinds[0] if len(kinds) == 1 else "")
        if engine not in kinds:
            choices = [{**words_of(kind), "icon": engine_icon(kind)} for kind in kinds]
            return self.render(request, "databases/choose_engine.html", title=_("Add Database"), choices=choices)
        return self._form(request, Database(engine=engine), engine, existing=None)

    def edit(self, request: HttpRequest, database: Database) -> HttpResponse:
        return self._form(request, database, database.engine, existing=database)

    def _form(self, request: HttpRequest, row: Database, engine: str, existing: Database | None) -> HttpResponse:
        form = ProtectedForm(posted(request), engine=engine, database=existing)
        if existing:
            title = _("Edit %(name)s") % {"name": existing}
        else:
            title = _("Add a Database: %(engine)s") % {"engine": registry.engine_class(engine).label}

        def save() -> Database:
            values = {**form.values(), "placements": form.placements()}
            return protect_database(database=row, values=values, create=existing is None)

        checks = self.address(existing, "check-edited") if existing else reverse("admin:databases_database_check_new")
        shown = {"title": title, "template": "databases/form.html", "check_url": checks}
        return self.form_page(request, form=form, save=save, existing=existing, **shown)

    def clone(self, request: HttpRequest, database: Database) -> HttpResponse:
        return clone_page(self, request, database)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        self.refuse_unless(self.has_delete_permission(request))
        database = self.object_or_404(request, object_id)
        if request.method == "POST" and needs_second_person():
            asked = self.address(database)
            return ask_through(request, lambda: ask_to_delete_database(database=database, user=request.user), asked)
        if request.method == "POST":
            done = _("%(name)s is no longer protected.") % {"name": database}
            return self.delete_through(request, database, lambda: delete_database(database=database), done)
        backups = Backup.objects.filter(database=database.pk).count()
        stay = ngettext(
            "Its %(n)s backup stays listed and can be restored into another Database.",
            "Its %(n)s backups stay listed and can be restored into another Database.",
            backups,
        )
        consequences = [
            _("It is no longer backed up: its schedule and settings are removed."),
            stay % {"n": backups},
            _("The server itself and its data are not touched."),
        ]
        title = _("Delete %(name)s?") % {"name": database}
        return self.confirm_page(request, database, title=title, consequences=consequences)
