"""The only place that names the concrete engines."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from databases.engines.base import Connection, Engine
from databases.engines.http_service.engine import HttpEngine
from databases.engines.mongodb.engine import MongoEngine
from databases.engines.postgres.engine import PostgresEngine
from databases.engines.s3_bucket.engine import S3BucketEngine
from databases.engines.sqlite.engine import SqliteEngine
from jobs.errors import BackupError

ENGINES: dict[str, type[Engine]] = {
    engine.kind: engine for engine in (PostgresEngine, MongoEngine, S3BucketEngine, HttpEngine, SqliteEngine)
}

SHAPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
}
NOUNS = {"str": "A text", "int": "A whole number", "float": "A number", "bool": "true or false"}


@dataclass(frozen=True)
class OptionField:
    """One option, described well enough to make a serializer's or a form's field of it.

    `type` is `str`, `int`, `float`, `bool`, `list` (of texts) or `dict` (from text to text).
    """

    name: str
    type: str
    default: Any
    secret: bool = False
    choices: tuple[str, ...] = ()
    help: str = ""
    nullable: bool = False


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
    options = engine_class(kind).Options
    hints = typing.get_type_hints(options)
    return [_option_field(field, hints[field.name]) for field in dataclasses.fields(options)]


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
    fields = {field.name: field for field in option_fields(kind)}
    values: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for name, value in options.items():
        if name not in fields:
            faults[name] = _unknown(kind, name)
            continue
        try:
            values[name] = _typed(fields[name], value)
        except ValueError as error:
            faults[name] = str(error)
    return values, faults


def _option_field(field: "dataclasses.Field[Any]", hint: Any) -> OptionField:
    plain = [part for part in typing.get_args(hint) if part is not types.NoneType]
    nullable = typing.get_origin(hint) in (types.UnionType, typing.Union)
    kind = plain[0] if nullable else hint
    origin = typing.get_origin(kind) or kind
    default = field.default if field.default is not dataclasses.MISSING else None
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    if origin is tuple:
        default = list(default or ())
    return OptionField(
        name=field.name,
        type={tuple: "list"}.get(origin, getattr(origin, "__name__", "str")),
        default=default,
        secret=bool(field.metadata.get("secret")),
        choices=field.metadata.get("choices", ()),
        help=field.metadata.get("help", ""),
        nullable=nullable,
    )


def _unknown(kind: str, name: str) -> str:
    owners = [other for other in kinds() if other != kind and any(f.name == name for f in option_fields(other))]
    return f"It belongs to {', '.join(owners)}." if owners else f"{kind} has no such option."


def _typed(field: OptionField, value: Any) -> Any:
    """Raises ValueError with a text for the operator, which never repeats the value: it may be a secret."""
    if value is None and field.nullable:
        return None
    if field.type == "list":
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            raise ValueError("A list of texts is wanted.")
        return tuple(value)
    if field.type == "dict":
        if not isinstance(value, dict) or not all(isinstance(item, str) for item in (*value, *value.values())):
            raise ValueError("A mapping of texts is wanted.")
        return value
    if not isinstance(value, SHAPES[field.type]) or (isinstance(value, bool) and field.type != "bool"):
        raise ValueError(f"{NOUNS[field.type]} is wanted.")
    if field.choices and value not in field.choices:
        raise ValueError(f"One of {', '.join(field.choices)} is wanted.")
    return value
