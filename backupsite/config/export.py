"""The site as a config.yaml: what is not as by default, secrets as references to variables."""

import re
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

import yaml

from backups.models import DatabaseDestination, Destination
from backupsite.config import exports
from backupsite.config.drills import exported_plan
from backupsite.config.entries import (
    DATABASE_FIELDS,
    PACKAGE_FIELDS,
    POLICY_FIELDS,
    STORAGE_FIELDS,
    default_of,
)
from databases.engines import registry
from databases.engines.option_fields import OptionField
from databases.models import Database, Policy
from databases.selectors import masking_of, site_policy
from exports.models import ExportPolicy, Source
from exports.selectors import export_policy
from exports.sources import registry as sources
from jobs.fields import unseal
from jobs.models import Capacity
from packages.models import PackagePolicy
from packages.selectors import package_policy

HEAD = "# Apply it with: manage.py apply_config FILE\n"
SECRETS = "# Secrets are taken from these variables, or put file:/path in their place:\n"


def export_config() -> str:
    """YAML that `apply_config` reads back without a change, once the variables it names are set."""
    names: list[str] = []
    described = Database.objects.filter(built_in=False)  # which each site makes by itself
    document = {
        "global": _global(),
        "storage": [_destination(row, names) for row in Destination.objects.order_by("id")],
        "databases": [_database(row, names) for row in described.order_by("id").prefetch_related("placements")],
        "package-conf": _packages(),
    }
    if exported := _exports(names):
        document["exports"] = exported
    body = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
    told = SECRETS + "".join(f"#   {name}\n" for name in names) if names else ""
    return f"{HEAD}{told}\n{body}"


def _global() -> dict[str, Any]:
    limit = Capacity.objects.values_list("max_parallel_jobs", flat=True).first()
    return _changed(site_policy(), Policy, POLICY_FIELDS) | ({"max_parallel_jobs": limit} if limit else {})


def _destination(row: Destination, names: list[str]) -> dict[str, Any]:
    out = {"id": row.pk, "name": _escaped(row.name), "type": row.kind} | _changed(row, Destination, STORAGE_FIELDS)
    if row.has_secret_key:
        out["secret_key"] = _reference(names, row.pk, "secret_key")
    return out | {"default": row.is_default}


def _database(row: Database, names: list[str]) -> dict[str, Any]:
    # What it leaves out would be the site's default.
    own = {**_changed(row, Database, (*DATABASE_FIELDS, "timezone")), "compression": row.compression}
    out: dict[str, Any] = {"id": row.pk, "name": _escaped(row.name), "engine": row.engine}
    out |= {name: own.pop(name) for name in ("host", "port", "username") if name in own}
    if "password" in row.secret_names:
        out["password"] = _reference(names, row.pk, "password")
    options = _options(row, registry.option_fields(row.engine), names)
    out |= own | ({"options": options} if options else {}) | {"encryption": row.encryption}
    placed = [_place(placement) for placement in row.placements.all()]
    out |= {"destinations": placed} if placed else {}
    rules = [{name: _escaped(text) for name, text in rule.items() if text} for rule in masking_of(row)]
    out |= {"masking": rules} if rules else {}
    return out | dict(_escaped(exported_plan(row.pk)))


def _place(row: DatabaseDestination) -> Any:
    days = row.retention_days
    return {"id": row.destination_id, "retention_days": days} if days else row.destination_id


def _options(row: Database | Source, known: list[OptionField], names: list[str]) -> dict[str, Any]:
    defaults = {option.name: option.default for option in known}
    options = {name: _escaped(value) for name, value in row.options.items() if value != defaults.get(name)}
    for secret in (name.removeprefix("options.") for name in row.secret_names if name.startswith("options.")):
        options[secret] = _secret_option(row, next(option for option in known if option.name == secret), names)
    return options


def _secret_option(row: Database | Source, option: OptionField, names: list[str]) -> Any:
    """A mapping of secrets (headers) keeps its names and gives each value a variable."""
    if option.type != "dict":
        return _reference(names, row.pk, option.name)
    values = unseal(row.secrets)["options"][option.name]
    return {key: _reference(names, row.pk, f"{option.name}_{key}") for key in values}


def _exports(names: list[str]) -> dict[str, Any]:
    row = export_policy()
    out = _changed(row, ExportPolicy, exports.POLICY_FIELDS)
    out |= {"destination": row.destination_id} if row.destination_id else {}
    found = [_source(source, names) for source in Source.objects.order_by("pk")]
    return out | ({"sources": found} if found else {})


def _source(row: Source, names: list[str]) -> dict[str, Any]:
    out: dict[str, Any] = {"id": row.pk, "name": _escaped(row.name), "kind": row.kind}
    out |= _changed(row, Source, exports.SOURCE_FIELDS)
    if "password" in row.secret_names:
        out["password"] = _reference(names, row.pk, "password")
    options = _options(row, sources.option_fields(row.kind), names)
    return out | ({"options": options} if options else {})


def _packages() -> dict[str, Any]:
    row = package_policy()
    return _changed(row, PackagePolicy, PACKAGE_FIELDS) | (
        {"destination": row.destination_id} if row.destination_id else {}
    )


def _changed(row: Any, model: Any, fields: tuple[str, ...]) -> dict[str, Any]:
    return dict(_items(row, model, fields))


def _items(row: Any, model: Any, fields: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for name in fields:
        value = getattr(row, name)
        if value != default_of(model, name):
            yield name, _escaped(value)


def _escaped(value: Any) -> Any:
    """So that a text is read back as it is."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _escaped(item) for name, item in value.items()}
    return value


def _reference(names: list[str], *parts: str) -> str:
    name = re.sub(r"[^A-Z0-9]+", "_", "_".join(parts).upper()).strip("_")
    name = f"_{name}" if name[0].isdigit() else name
    other = next(number for number in count(2) if f"{name}_{number}" not in names)
    name = f"{name}_{other}" if name in names else name
    names.append(name)
    return f"${{{name}}}"
