"""How config.yaml says what end users may ask for, and where their data is: its section `exports`."""

from collections.abc import Mapping
from typing import Any

from exports.models import ExportPolicy, Source
from exports.sources import registry

POLICY_FIELDS = tuple(
    field.name
    for field in ExportPolicy._meta.concrete_fields
    if field.name not in ("id", "destination", "managed", "updated_at")
)
SOURCE_FIELDS = ("enabled", "username")


def policy_values(given: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of the policy, at their defaults where the file says nothing."""
    values = {name: given.get(name, getattr(ExportPolicy(), name)) for name in POLICY_FIELDS}
    return {**values, "destination_id": given.get("destination")}


def source_of(given: Mapping[str, Any]) -> Source:
    """The row, or one that would be made."""
    return Source.objects.filter(pk=given["id"]).first() or Source(pk=given["id"], kind=given["kind"])


def source_values(given: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: given.get(name, getattr(Source(), name)) for name in SOURCE_FIELDS}
    values |= {"name": given.get("name", given["id"]), "kind": given["kind"], "options": given.get("options", {})}
    return values | ({"password": given["password"]} if "password" in given else {})


def with_defaults(kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    return {option.name: option.default for option in registry.option_fields(kind)} | dict(options)
