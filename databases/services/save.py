"""Create and change a Database: everything is validated before anything is written."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from databases.engines import registry
from databases.hooks import hook_faults
from databases.models import RESERVED_IDS, Compression, Database
from databases.schedule import schedule_fault, timezone_fault
from databases.services.beat import keep_in_step
from databases.services.build_engine import build_engine
from databases.services.secrets import set_secrets
from jobs.errors import BackupError
from jobs.fields import unseal

HIGHEST_LEVELS = {Compression.ZSTD.value: 19, Compression.GZIP.value: 9}  # zstd above 19 takes hundreds of MB


def save_database(*, database: Database, values: Mapping[str, Any], create: bool) -> Database:
    """Sets `values` on the row and writes it.

    `values` are fields of Database, plus `password` and the engine's secret options inside `options`; a secret that
    is left out keeps its value, an empty one removes it. Raises ValidationError with every fault at once by field
    (`options.sslmode`), and BackupError(code="id_taken") when the id exists.
    """
    if not create and values.get("engine", database.engine) != database.engine:
        raise ValidationError({"engine": ["The engine of a Database cannot change."]})
    reschedules = not create and _reschedules(database.pk, values)
    if reschedules:
        database.scheduled_since = timezone.now()
    faults = set_values(database, values)
    faults |= _faults(database)
    if "hooks" in values:  # what was allowed once is asked again when it is to run
        faults |= hook_faults(values["hooks"], settings.BACKUPSITE_HOOK_PROGRAMS)
    if faults:
        raise ValidationError(faults)
    try:
        with transaction.atomic():
            database.save(force_insert=create)
            if create or reschedules:
                keep_in_step(database_id=database.pk)
    except IntegrityError as error:
        raise BackupError(f"A Database with the id {database.pk!r} exists.", code="id_taken", permanent=True) from error
    return database


def _reschedules(pk: str, values: Mapping[str, Any]) -> bool:
    """Asked of the row: a form may have set the fields already."""
    before: Mapping[str, Any] = Database.objects.filter(pk=pk).values("schedule", "timezone", "enabled").first() or {}
    return any(name in values and values[name] != value for name, value in before.items())


def set_values(database: Database, values: Mapping[str, Any]) -> dict[str, Any]:
    """Sets them on the row and writes nothing; faults by field."""
    for name, value in values.items():
        if name not in ("password", "options"):
            setattr(database, name, value)
    return _set_secrets(database, values)


def _set_secrets(database: Database, values: Mapping[str, Any]) -> dict[str, Any]:
    names: frozenset[str] = frozenset()
    if "options" in values:
        try:
            names = registry.secret_option_names(database.engine)
        except BackupError as error:
            return {"engine": [error.message]}
    set_secrets(row=database, values=values, secret_options=names)
    return {}


def _faults(database: Database) -> dict[str, Any]:
    faults: dict[str, Any] = {}
    try:
        database.clean_fields()
    except ValidationError as error:
        faults |= error.message_dict
    if database.pk in RESERVED_IDS:
        faults["id"] = [f"{database.pk!r} is a word of the API and cannot be an id."]
    level = database.compression_level
    highest = HIGHEST_LEVELS.get(database.compression)
    if highest is not None and level is not None and not 1 <= level <= highest:
        faults["compression_level"] = [f"{database.compression} has the levels 1 to {highest} here."]
    if fault := schedule_fault(database.schedule):
        faults["schedule"] = [fault]
    if fault := timezone_fault(database.timezone):
        faults["timezone"] = [fault]
    return faults | engine_faults(database)


def engine_faults(database: Database) -> dict[str, Any]:
    """What its engine has against its connection and options, by field. Talks to nobody."""
    try:
        engine = build_engine(database=database)
    except BackupError as error:
        if error.code != "invalid_options":
            return {"engine": [str(error)]}
        options = {**database.options, **unseal(database.secrets).get("options", {})}
        return {f"options.{name}": [text] for name, text in registry.option_faults(database.engine, options).items()}
    faults = {name: [text] for name, text in engine.validate(engine.connection, engine.options).items()}
    if database.scheduled_type not in engine.supports:
        faults["scheduled_type"] = [f"{engine.label} has no {database.scheduled_type} backups."]
    return faults
