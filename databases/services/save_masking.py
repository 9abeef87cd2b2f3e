"""Replace the masking rules of a Database: everything is validated before anything is written."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from databases.engines import registry
from databases.engines.proof import Mask
from databases.models import Database, MaskingRule
from databases.selectors import masking_of
from jobs.errors import BackupError
from notifications.services.record import record_event

FIELDS = ("item", "column", "method", "value")
MOST = 500
NAMED = 20  # in the message of an event


def save_masking(*, database: Database, rules: Sequence[Mapping[str, Any]], user: Any = None) -> list[dict[str, str]]:
    """`rules` are all there are from now on. Returns them as `masking_of` gives them.

    Raises ValidationError with every fault at once by field (`masking.3.column`), and
    BackupError(code="unsupported") where the engine masks nothing.
    """
    wanted = [{name: str(rule.get(name) or "") for name in FIELDS} for rule in rules]
    _require_valid(database, wanted)
    with transaction.atomic():
        Database.objects.select_for_update().get(pk=database.pk)
        before = masking_of(database)
        if _sorted(before) == _sorted(wanted):
            return before
        database.masking_rules.all().delete()
        MaskingRule.objects.bulk_create(MaskingRule(database=database, **rule) for rule in wanted)
        _record(database, before, wanted, user)
    return masking_of(database)


def _sorted(rules: Sequence[Mapping[str, str]]) -> list[tuple[str, ...]]:
    return sorted(tuple(rule[name] for name in FIELDS) for rule in rules)


def _require_valid(database: Database, rules: Sequence[Mapping[str, str]]) -> None:
    engine = registry.engine_class(database.engine)
    if rules and "masking" not in engine.supports:
        raise BackupError(f"{engine.label} restores mask nothing.", code="unsupported", permanent=True)
    faults: dict[str, list[str]] = {}
    if len(rules) > MOST:
        faults["masking"] = [f"At most {MOST} rules."]
    seen = set()
    for number, rule in enumerate(rules):
        try:
            MaskingRule(**rule).clean_fields(exclude=["database"])
        except ValidationError as error:
            faults |= {f"masking.{number}.{name}": texts for name, texts in error.message_dict.items()}
            continue
        if fault := engine.mask_fault(Mask(**rule)):
            faults[f"masking.{number}"] = [fault]
        elif (rule["item"], rule["column"]) in seen:
            faults[f"masking.{number}"] = ["Another rule is for this column."]
        seen.add((rule["item"], rule["column"]))
    if faults:
        raise ValidationError(faults)


def _record(
    database: Database, before: Sequence[Mapping[str, str]], after: Sequence[Mapping[str, str]], user: Any
) -> None:
    """Names of columns, no values. Whoever takes a rule away lets the next restore bring the real thing."""
    who = user.get_username() if user is not None else "the host"
    gone = {f"{rule['item']}.{rule['column']}" for rule in before} - {f"{r['item']}.{r['column']}" for r in after}
    lost = f" No longer masked: {', '.join(sorted(gone)[:NAMED])}." if gone else ""
    record_event(
        kind="security.masking_changed",
        subject_id=database.pk,
        database_id=database.pk,
        message=f"{who} changed the masking rules of {database.name}: {len(after)} now.{lost}",
    )
