"""Change how a Database is drilled: everything is validated before anything is written."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from backups.models import DrillPlan
from backups.services.assertions import assertions_fault
from backups.services.request_drill import require_drillable
from databases.models import Database
from databases.schedule import INHERIT, schedule_fault
from jobs.errors import BackupError

MAX_DAYS = 100_000


def save_drill_plan(*, database: Database, values: Mapping[str, Any]) -> DrillPlan:
    """`values` are fields of DrillPlan. Raises ValidationError with every fault at once by field.

    A changed schedule invents no past: the next drill is due after this moment.
    """
    with transaction.atomic():
        DrillPlan.objects.get_or_create(pk=database.pk)
        plan = DrillPlan.objects.select_for_update().select_related("server").get(pk=database.pk)
        before = plan.schedule
        for name, value in values.items():
            setattr(plan, name, value)
        if faults := _faults(plan, database):
            raise ValidationError(faults)
        if plan.schedule != before:
            plan.scheduled_since = timezone.now()
        plan.save()
    return plan


def _faults(plan: DrillPlan, database: Database) -> dict[str, Any]:
    faults: dict[str, Any] = {}
    try:
        plan.clean_fields(exclude=["database"])
    except ValidationError as error:
        faults |= error.message_dict
    if plan.schedule == INHERIT:
        faults["schedule"] = ["Drills have a schedule of their own, or none (null)."]
    elif fault := schedule_fault(plan.schedule):
        faults["schedule"] = [fault]
    try:
        require_drillable(engine=database.engine, server=plan.server)
    except BackupError as error:
        faults["server" if error.code == "engine_mismatch" else "__all__"] = [str(error)]
        return faults
    if plan.within_days is not None and plan.within_days > MAX_DAYS:
        faults["within_days"] = [f"At most {MAX_DAYS} days."]
    if fault := assertions_fault(plan.assertions, engine=database.engine):
        faults["assertions"] = [fault]
    return faults
