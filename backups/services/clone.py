"""Clone a Database: the same connection, secrets, policy and destinations under another id; it has no backups."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from backups.models import DrillPlan
from backups.services.place import place_database
from backups.services.save_drill_plan import save_drill_plan
from databases.models import Database, MaskingRule, make_database_id
from databases.services.save import save_database
from jobs.errors import BackupError
from jobs.fields import unseal

OWN = frozenset({"id", "name", "secrets", "secret_names", "created_at", "updated_at"})
LEFT = frozenset({"enabled", "managed", "built_in", "scheduled_since"})
PLAN = ("schedule", "pick", "destination", "server", "assertions", "within_days")


def clone_database(*, database: Database, name: str, new_id: str = "") -> Database:
    """A disabled copy: nothing of it runs before somebody has looked at it and enabled it.

    Secrets go from row to row on the server. Raises BackupError: built_in, id_taken, missing_key (a secret does not
    open), and ValidationError by field where the settings of the original are no longer accepted.
    """
    if database.built_in:
        raise BackupError(f"{database.name} is the site itself: there is one of it.", code="built_in", permanent=True)
    columns = [column.attname for column in Database._meta.concrete_fields]
    values: dict[str, Any] = {column: getattr(database, column) for column in columns if column not in OWN | LEFT}
    secrets = unseal(database.secrets)
    values["password"] = secrets.get("password", "")
    values["options"] = {**database.options, **secrets.get("options", {})}
    with transaction.atomic():
        row = Database(pk=new_id or make_database_id(), engine=database.engine, scheduled_since=timezone.now())
        clone = save_database(database=row, values={**values, "name": name, "enabled": False}, create=True)
        _place(database, clone)
        rules = database.masking_rules.values("item", "column", "method", "value")
        MaskingRule.objects.bulk_create(MaskingRule(database=clone, **rule) for rule in rules)
        if plan := DrillPlan.objects.filter(pk=database.pk).first():
            save_drill_plan(database=clone, values={field: getattr(plan, field) for field in PLAN})
    return clone


def _place(database: Database, clone: Database) -> None:
    named = dict(database.placements.order_by("position").values_list("destination_id", "retention_days"))
    if named:
        place_database(database=clone, destination_ids=list(named), retention_days=named)
