"""Fields that several answers about Databases share: schedules, options by kind, commands of hooks."""

from collections.abc import Iterable, Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from databases.engines import registry
from databases.engines.option_fields import OptionField
from databases.hooks import DEFAULT_TIMEOUT_S, MAX_COMMANDS, MAX_LENGTH, MAX_TIMEOUT_S, MAX_WORDS
from jobs.api import StrictSerializer

KEEPS = ("retention_days", "max_backups", "keep_daily", "keep_weekly", "keep_monthly", "keep_yearly")
MAX_KEEP = 100_000
SCHEDULE = {
    "nullable": True,
    "oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
    "description": "A 5-field cron, a list of them (their union), `inherit`, or null for none.",
}

OPTION_SHAPES: dict[str, dict[str, Any]] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "list": {"type": "array", "items": {"type": "string"}},
    "dict": {"type": "object", "additionalProperties": {"type": "string"}},
}


@extend_schema_field(SCHEDULE)
class ScheduleField(serializers.JSONField):
    """Checked by the service, which knows cron."""


def _option_schema(option: OptionField) -> dict[str, Any]:
    """How one option of an engine is described; a secret one is write-only."""
    shape: dict[str, Any] = dict(OPTION_SHAPES[option.type])
    if option.choices:
        shape["enum"] = list(option.choices)
    if option.secret:
        shape["writeOnly"] = True
    return (
        shape | ({"description": option.help} if option.help else {}) | ({"nullable": True} if option.nullable else {})
    )


def options_schema(options: Mapping[str, Iterable[OptionField]]) -> dict[str, Any]:
    """What a field `options` may hold, by kind."""
    kinds = [
        {
            "title": kind,
            "type": "object",
            "additionalProperties": False,
            "properties": {option.name: _option_schema(option) for option in of_kind},
        }
        for kind, of_kind in options.items()
    ]
    return {
        "anyOf": kinds,
        "description": "Options of the kind. PATCH replaces those that are shown; a secret one that is left out "
        "keeps its value, an empty one is removed. Secret ones are never shown: `secret_options` names those set.",
    }


@extend_schema_field(options_schema({kind: registry.option_fields(kind) for kind in registry.kinds()}))
class OptionsField(serializers.DictField):
    pass


class CommandsField(serializers.ListField):
    child = serializers.ListField(
        child=serializers.CharField(max_length=MAX_LENGTH, allow_blank=True, trim_whitespace=False),
        min_length=1,
        max_length=MAX_WORDS,
        help_text="The absolute path of a program, and its arguments. No shell reads them.",
    )


class HooksSerializer(StrictSerializer):
    """Commands around a backup. What is left out is empty; `{}` removes them all."""

    pre = CommandsField(required=False, max_length=MAX_COMMANDS)
    post = CommandsField(required=False, max_length=MAX_COMMANDS)
    timeout_s = serializers.IntegerField(
        min_value=1,
        max_value=MAX_TIMEOUT_S,
        required=False,
        help_text=f"Of each command; {DEFAULT_TIMEOUT_S} if unsaid.",
    )
