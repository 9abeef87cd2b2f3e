"""The only place that names the concrete sources."""

from collections.abc import Mapping
from typing import Any

from databases.engines.base import Connection
from databases.engines.option_fields import OptionField, fields_of, typed_options
from exports.sources.base import UserSource
from exports.sources.http import HttpSource
from exports.sources.nostr import NostrSource
from jobs.errors import BackupError

SOURCES: dict[str, type[UserSource]] = {source.kind: source for source in (NostrSource, HttpSource)}


def source_class(kind: str) -> type[UserSource]:
    """Raises BackupError(code="unknown_source")."""
    if kind not in SOURCES:
        raise BackupError(
            f"There is no kind of source {kind!r}.",
            code="unknown_source",
            permanent=True,
            hint=f"Use {', '.join(sorted(SOURCES))}.",
        )
    return SOURCES[kind]


def option_fields(kind: str) -> list[OptionField]:
    """In the order of the source's Options. Raises BackupError(code="unknown_source")."""
    return fields_of(source_class(kind).Options)


def option_faults(kind: str, options: Mapping[str, Any]) -> dict[str, str]:
    """What keeps `build` from making a source of these options, by option. Shapes only."""
    return _typed(kind, options)[1]


def build(kind: str, connection: Connection, options: Mapping[str, Any], settings: Mapping[str, Any]) -> UserSource:
    """A source with its options typed. Raises BackupError: unknown_source, invalid_options (all faults at once)."""
    values, faults = _typed(kind, options)
    if faults:
        told = " ".join(f"{name}: {text}" for name, text in faults.items())
        known = ", ".join(field.name for field in option_fields(kind))
        raise BackupError(
            f"Options of {kind}: {told}", code="invalid_options", permanent=True, hint=f"Known options: {known}."
        )
    found = source_class(kind)
    return found(connection, found.Options(**values), settings)


def _typed(kind: str, options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    return typed_options(option_fields(kind), options, unknown=lambda name: f"{kind} has no such option.")
