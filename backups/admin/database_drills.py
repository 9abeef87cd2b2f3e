"""What the page of a Database shows and does about its drills."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils import timezone
from django.utils.translation import gettext as _

from backups.admin.drill_forms import DrillPlanForm
from backups.models import Drill, DrillOverdue, DrillPlan
from backups.selectors import drills_due
from backups.services.request_drill import request_drill
from backups.services.save_drill_plan import save_drill_plan
from databases.admin.sentences import told
from databases.models import Database
from databases.schedule import schedule_fault
from jobs.admin.pages import PageAdmin, posted
from jobs.errors import BackupError


class DrillPages(PageAdmin):
    """Mixed into the admin of Databases."""

    def drill_routes(self) -> list[URLPattern]:
        return [
            self.post_route("drill", self.drill, self.run_role),
            self.form_route("drill-plan", self.edit_drill_plan, self.change_role),
        ]

    def drill_context(self, database: Database) -> dict[str, Any]:
        plan = _plan_of(database)
        return {
            "drill_plan": plan,
            "drill_sentence": "" if schedule_fault(plan.schedule) else told(plan.schedule),
            "drills_due": drills_due(plan, after=timezone.now(), count=1),
            "drills": Drill.objects.filter(database=database).defer("report")[:5],
            "drill_overdue": DrillOverdue.objects.filter(pk=database.pk).exists(),
            "drill_url": self.address(database, "drill"),
            "drill_plan_url": self.address(database, "drill-plan"),
        }

    def drill(self, request: HttpRequest, database: Database) -> HttpResponse:
        try:
            drill = request_drill(database=database, user=request.user)
        except BackupError as error:
            messages.error(request, str(error))
            return redirect(self.address(database))
        return redirect("admin:backups_drill_change", drill.pk)

    def edit_drill_plan(self, request: HttpRequest, database: Database) -> HttpResponse:
        form = DrillPlanForm(posted(request), database=database, plan=_plan_of(database))

        def save() -> Database:
            save_drill_plan(database=database, values=form.values())
            return database

        title = _("Drills of %(name)s") % {"name": database.name}
        return self.form_page(request, form=form, save=save, existing=database, title=title)


def _plan_of(database: Database) -> DrillPlan:
    return DrillPlan.objects.filter(pk=database.pk).first() or DrillPlan(database=database)
