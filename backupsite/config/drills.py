"""How config.yaml says when and how a Database is drilled: `drill_schedule` and `drill` of its entry."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError

from backups.models import Destination, DrillPlan, Pick
from backups.services.save_drill_plan import save_drill_plan
from databases.models import Database

DEFAULTS: dict[str, Any] = {
    "schedule": None,
    "pick": Pick.NEWEST.value,
    "destination_id": None,
    "server_id": None,
    "assertions": [],
    "within_days": None,
}
IN_FILE = {"destination_id": "destination", "server_id": "server"}
PLACES: dict[str, type[Destination] | type[Database]] = {"destination_id": Destination, "server_id": Database}


def plan_of(name: str) -> DrillPlan:
    """The row, or one that would be made."""
    return DrillPlan.objects.filter(pk=name).first() or DrillPlan(database_id=name)


def plan_values(given: Mapping[str, Any]) -> dict[str, Any]:
    """Of the entry of a Database: columns of the plan, at their defaults where the file says nothing."""
    drill = given.get("drill") or {}
    values = {name: drill.get(IN_FILE.get(name, name), default) for name, default in DEFAULTS.items()}
    return {**values, "schedule": given.get("drill_schedule")}


def save_plan(*, name: str, values: Mapping[str, Any]) -> None:
    """Raises ValidationError by the words of the file."""
    wanted = {field: value for field, value in values.items() if field not in PLACES}
    for field, model in PLACES.items():
        pk = values[field]
        found = None if pk is None else model.objects.filter(pk=pk).first()
        if pk is not None and found is None:
            raise ValidationError({IN_FILE[field]: [f"There is no {model._meta.verbose_name} {pk!r}."]})
        wanted[IN_FILE[field]] = found
    save_drill_plan(database=Database.objects.get(pk=name), values=wanted)


def exported_plan(name: str) -> dict[str, Any]:
    """What is not as by default, in the words of the file."""
    plan = plan_of(name)
    said = {field: getattr(plan, field) for field, default in DEFAULTS.items() if getattr(plan, field) != default}
    schedule = said.pop("schedule", None)
    drill = {IN_FILE.get(field, field): value for field, value in said.items()}
    return ({"drill_schedule": schedule} if schedule else {}) | ({"drill": drill} if drill else {})
