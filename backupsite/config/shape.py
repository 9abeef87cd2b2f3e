"""What config.yaml may hold, as a JSON Schema: for editors (docs/config.schema.json), and to find faults of shape."""

from collections.abc import Mapping, Sequence
from typing import Any

from backups.models import Destination, Pick
from backups.services.assertions import OPERATORS
from backups.services.place import MOST
from backups.services.save_destination import MOST_LOCK_DAYS
from databases.blackouts import DAYS
from databases.engines import registry
from databases.engines.option_fields import OptionField
from databases.models import CatchUp, Compression, Encryption, MaskingRule, ScheduledType, Sensitivity, own_sensitivity
from exports.models import Source
from exports.sources import registry as sources
from packages.models import Compression as PackageCompression
from packages.models import OnMissing

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0, "maximum": 100_000}
COUNT_OR_NULL: Schema = {**COUNT, "type": ["integer", "null"]}
YES_NO: Schema = {"type": "boolean"}
TEXTS: Schema = {"type": "array", "items": TEXT}
CRONS: Schema = {"type": ["string", "array", "null"], "items": TEXT, "minItems": 1}
KEEPS = ("retention_days", "max_backups", "keep_daily", "keep_weekly", "keep_monthly", "keep_yearly")
OPTIONS: dict[str, Schema] = {
    "str": TEXT,
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": YES_NO,
    "list": TEXTS,
    "dict": {"type": "object", "additionalProperties": TEXT},
}


def schema() -> Schema:
    """JSON Schema 2020-12 of the whole file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Backupsite configuration",
        **_mapping(
            {
                "global": _mapping(_global()),
                "storage": {
                    **_destination(),
                    "type": ["object", "array"],
                    "items": {**_destination(), "required": ["id", "type"]},
                },
                "databases": {"type": "array", "items": _database()},
                "package-conf": _mapping(_packages()),
                "exports": _mapping(_exports()),
            }
        ),
    }


def _mapping(properties: dict[str, Schema]) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _one_of(choices: Any) -> Schema:
    return {"enum": list(choices)}


def _global() -> dict[str, Schema]:
    window = _mapping({"from": TEXT, "to": TEXT, "days": {"type": "array", "items": _one_of(DAYS)}, "timezone": TEXT})
    return {
        "schedule": CRONS,
        "timezone": TEXT,
        "jitter_s": COUNT,
        "paused": YES_NO,
        "blackouts": {"type": "array", "items": {**window, "required": ["from", "to"]}},
        "compression": _one_of(Compression.values),
        "encryption": _one_of(Encryption.values),
        "encryption_recipients": TEXTS,
        **dict.fromkeys(KEEPS, COUNT),
        "failed_days": COUNT,
        "verify_within_days": COUNT,
        "drill_within_days": COUNT,
        "anomalies": _one_of(Sensitivity.values),
        "max_parallel_jobs": {"type": "integer", "minimum": 1, "maximum": 1000},
    }


def _destination() -> Schema:
    names = (
        *("id", "name", "path", "endpoint_url", "region", "access_key", "secret_key", "bucket", "prefix", "ca"),
        *("storage_class", "kms_key_id", "queue"),
    )
    return {
        **_mapping(
            {
                **dict.fromkeys(names, TEXT),
                "type": _one_of(Destination.Kind.values),
                "default": YES_NO,
                "off_site": YES_NO,
                "server_side_encryption": _one_of(Destination.ServerSideEncryption.values),
                "addressing": _one_of(Destination.Addressing.values),
                "reserve_bytes": {"type": "integer", "minimum": 0},
                "object_lock_mode": _one_of(Destination.ObjectLock.values),
                "object_lock_days": {"type": "integer", "minimum": 1, "maximum": MOST_LOCK_DAYS},
            }
        ),
    }


def _database() -> Schema:
    hooks = _mapping({name: {"type": "array", "items": TEXTS} for name in ("pre", "post")} | {"timeout_s": COUNT})
    return {
        **_mapping(
            {
                **dict.fromkeys(
                    ("id", "name", "host", "username", "password", "database_name", "timezone", "queue"), TEXT
                ),
                "engine": _one_of(registry.kinds()),
                "port": {"type": "integer", "minimum": 1, "maximum": 65535},
                "options": {"type": "object"},
                "enabled": YES_NO,
                "schedule": CRONS,
                "scheduled_type": _one_of(ScheduledType.values),
                "catch_up": _one_of(CatchUp.values),
                **dict.fromkeys(KEEPS, COUNT_OR_NULL),
                "anomalies": _one_of(name for name, _ in own_sensitivity()),
                "compression": _one_of(Compression.values),
                "compression_level": {"type": ["integer", "null"], "minimum": 1, "maximum": 19},
                "encryption": _one_of(Encryption.values),
                "encryption_recipients": {**TEXTS, "type": ["array", "null"]},
                "destinations": {
                    "type": "array",
                    "maxItems": MOST,
                    "items": {
                        **_mapping({"id": TEXT, "retention_days": {**COUNT, "minimum": 1}}),
                        "type": ["string", "object"],
                        "required": ["id"],
                    },
                },
                "package": YES_NO,
                "hooks": hooks,
                "drill_schedule": CRONS,
                "drill": _drill(),
                "masking": {"type": "array", "items": _masking_rule()},
            }
        ),
        "required": ["id", "engine"],
        "allOf": _options_by("engine", {kind: registry.option_fields(kind) for kind in registry.kinds()}),
    }


def _options_by(name: str, fields: Mapping[str, Sequence[OptionField]]) -> list[Schema]:
    """What `options` may hold, by the value of the property `name` beside it."""
    return [
        {
            "if": {"properties": {name: {"const": kind}}},
            "then": {"properties": {"options": _mapping({option.name: _option(option) for option in known})}},
        }
        for kind, known in fields.items()
    ]


def _masking_rule() -> Schema:
    rule = _mapping({"item": TEXT, "column": TEXT, "method": _one_of(MaskingRule.Method.values), "value": TEXT})
    return {**rule, "required": ["item", "column", "method"]}


def _drill() -> Schema:
    assertion = {
        "name": TEXT,
        "query": {"type": ["string", "object"]},
        "operator": _one_of(OPERATORS),
        "value": {"type": ["number", "boolean"]},
    }
    return _mapping(
        {
            "pick": _one_of(Pick.values),
            "destination": TEXT,
            "server": TEXT,
            "within_days": COUNT_OR_NULL,
            "assertions": {"type": "array", "items": {**_mapping(assertion), "required": list(assertion)}},
        }
    )


def _option(option: OptionField) -> Schema:
    shape = {"enum": list(option.choices)} if option.choices else dict(OPTIONS[option.type])
    if option.nullable:
        shape = {"anyOf": [shape, {"type": "null"}]}
    return {**shape, "description": option.help} if option.help else shape


def _packages() -> dict[str, Schema]:
    return {
        "schedule": CRONS,
        "timezone": TEXT,
        "compression": _one_of(PackageCompression.values),
        "retention_days": COUNT,
        "max_packages": COUNT,
        "on_missing": _one_of(OnMissing.values),
        "destination": TEXT,
    }


def _exports() -> dict[str, Schema]:
    source = _mapping(
        {
            **dict.fromkeys(("id", "name", "username", "password"), TEXT),
            "kind": _one_of(Source.Kind.values),
            "enabled": YES_NO,
            "options": {"type": "object"},
        }
    )
    kinds = {kind: sources.option_fields(kind) for kind in sources.SOURCES}
    counts = ("creations_per_hour", "queries_per_quarter", "max_open", "link_days")
    return {
        "enabled": YES_NO,
        **{name: {**COUNT, "minimum": 1} for name in counts},
        "max_bytes": {"type": "integer", "minimum": 0},
        "kept_days": COUNT,
        "redirect_to_store": YES_NO,
        "destination": TEXT,
        "sources": {
            "type": "array",
            "items": {**source, "required": ["id", "kind"], "allOf": _options_by("kind", kinds)},
        },
    }
