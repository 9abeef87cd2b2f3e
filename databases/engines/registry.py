"""The only place that names the concrete engines."""

from collections.abc import Mapping
from typing import Any

from databases.engines.base import Connection, Engine
from databases.engines.http_service.engine import HttpEngine
from databases.engines.mongodb.engine import MongoEngine
from databases.engines.option_fields import OptionField, fields_of, typed_options
from databases.engines.postgres.engine import PostgresEngine
from databases.engines.s3_bucket.engine import S3BucketEngine
from databases.engines.sqlite.engine import SqliteEngine
from jobs.errors import BackupError

ENGINES: dict[str, type[Engine]] = {
    engine.kind: engine for engine in (PostgresEngine, MongoEngine, S3BucketEngine, HttpEngine, SqliteEngine)
}


def kinds() -> list[str]:
    return sorted(ENGINES)


def engine_class(kind: str) -> type[Engine]:
    """Raises BackupError(code="unknown_engine")."""
    if kind not in ENGINES:
        raise BackupError(
            f"There is no engine {kind!r}.", code="unknown_engine", permanent=True, hint=f"Use {', '.join(kinds())}."
        )
    return ENGINES[kind]


def option_fields(kind: str) -> list[OptionField]:
    """In the order of the engine's Options. Raises BackupError(code="unknown_engine")."""
    return fields_of(engine_class(kind).Options)


def secret_option_names(kind: str) -> frozenset[str]:
    return frozenset(field.name for field in option_fields(kind) if field.secret)


def build(
    kind: str, connection: Connection, options: Mapping[str, Any], settings: Mapping[str, Any] | None = None
) -> Engine:
    """An engine with its options typed. Raises BackupError: unknown_engine, invalid_options (all faults at once).

    Shapes only are checked here; `validate` of the engine knows what the values mean.
    """
    engine = engine_class(kind)
    values, faults = _typed_options(kind, options)
    if faults:
        told = " ".join(f"{name}: {text}" for name, text in faults.items())
        known = ", ".join(field.name for field in option_fields(kind))
        raise BackupError(
            f"Options of {kind}: {told}", code="invalid_options", permanent=True, hint=f"Known options: {known}."
        )
    return engine(connection, engine.Options(**values), settings)


def option_faults(kind: str, options: Mapping[str, Any]) -> dict[str, str]:
    """What keeps `build` from making an engine of these options, by option. Raises BackupError: unknown_engine."""
    return _typed_options(kind, options)[1]


def _typed_options(kind: str, options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    return typed_options(option_fields(kind), options, unknown=lambda name: _unknown(kind, name))


def _unknown(kind: str, name: str) -> str:
    owners = [other for other in kinds() if other != kind and any(f.name == name for f in option_fields(other))]
    return f"It belongs to {', '.join(owners)}." if owners else f"{kind} has no such option."
