"""What a document asks for, row by row: whole rows, so that what a file no longer says goes back to its default."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Model

from backups.models import Destination
from backups.services.protect import protect_database
from backups.services.save_destination import save_destination
from backupsite.config import exports
from backupsite.config.drills import plan_of, plan_values, save_plan
from backupsite.config.reading import Document, ValuePath
from databases.engines import registry
from databases.models import Database, Policy, default_encryption
from databases.selectors import masking_of, site_policy
from databases.services.save_masking import save_masking
from databases.services.save_policy import save_policy
from exports.models import Source
from exports.selectors import export_policy
from exports.services.save_policy import save_export_policy
from exports.services.save_source import save_source
from jobs.fields import unseal
from packages.models import PackagePolicy
from packages.selectors import package_policy
from packages.services.save_policy import save_package_policy

POLICY_FIELDS = (
    *("schedule", "jitter_s", "paused", "blackouts", "failed_days", "compression"),
    *("retention_days", "max_backups", "keep_daily", "keep_weekly", "keep_monthly", "keep_yearly"),
    *("verify_within_days", "drill_within_days", "anomalies"),
)
PACKAGE_FIELDS = ("schedule", "timezone", "compression", "retention_days", "max_packages", "on_missing")
DATABASE_FIELDS = (
    *("host", "port", "username", "database_name", "enabled", "scheduled_type", "catch_up", "compression_level"),
    *("retention_days", "max_backups", "keep_daily", "keep_weekly", "keep_monthly", "keep_yearly"),
    *("anomalies", "package", "queue", "hooks", "schedule", "compression", "encryption_recipients"),
)
STORAGE_FIELDS = (
    *("path", "bucket", "prefix", "endpoint_url", "region", "access_key", "ca", "storage_class", "kms_key_id", "queue"),
    *("server_side_encryption", "addressing", "reserve_bytes", "off_site", "object_lock_mode", "object_lock_days"),
)


@dataclass(frozen=True)
class Entry:
    """One row that the file describes. `save` writes `values` through the row's own service."""

    kind: str
    name: str
    path: ValuePath
    row: Any
    values: Mapping[str, Any]
    save: Callable[["Entry"], Any]

    @property
    def exists(self) -> bool:
        return not self.row._state.adding

    def changed(self) -> list[str]:
        """Names of fields whose value is another; of a secret the name alone is ever told."""
        return [
            name for name, value in self.values.items() if _now(self.row, name) != _comparable(self.row, name, value)
        ]


def entries(document: Document) -> Iterator[Entry]:
    """In the order they have to be written."""
    values = document.values
    if "global" in values:
        yield _policy(values["global"] or {})
    storage = values.get("storage") or []
    for number, given in enumerate([storage] if isinstance(storage, dict) else storage):
        path: ValuePath = ("storage",) if isinstance(storage, dict) else ("storage", number)
        yield _destination(given, path, alone=isinstance(storage, dict) or len(storage) == 1)
    for number, given in enumerate(values.get("databases") or []):
        yield _database(given, ("databases", number), values.get("global") or {})
    for number, given in enumerate(values.get("databases") or []):  # their servers are there by now
        plan = plan_of(given["id"])
        if "drill" in given or "drill_schedule" in given or not plan._state.adding:
            path = ("databases", number, "drill")
            yield Entry("drill plan", given["id"], path, plan, plan_values(given), _save_drill_plan)
    if "package-conf" in values:
        yield _packages(values["package-conf"] or {})
    if "exports" in values:
        yield from _exports(values["exports"] or {})


def _policy(given: Mapping[str, Any]) -> Entry:
    values = {name: given.get(name, default_of(Policy, name)) for name in POLICY_FIELDS}
    return Entry("policy", "", ("global",), site_policy(), {**values, "managed": True}, _save_policy)


def _destination(given: Mapping[str, Any], path: ValuePath, *, alone: bool) -> Entry:
    name = given.get("id", "storage")
    row = Destination.objects.filter(pk=name).first() or Destination(pk=name)
    values = {field: given.get(field, default_of(Destination, field)) for field in STORAGE_FIELDS}
    values |= {"name": given.get("name", name), "kind": given["type"], "is_default": given.get("default", alone)}
    values |= {"secret_key": given["secret_key"]} if "secret_key" in given else {}
    return Entry("destination", name, path, row, {**values, "managed": True}, _save_destination)


def _database(given: Mapping[str, Any], path: ValuePath, site: Mapping[str, Any]) -> Entry:
    name = given["id"]
    row = Database.objects.filter(pk=name).first() or Database(pk=name, engine=given["engine"])
    values = {field: given.get(field, default_of(Database, field)) for field in DATABASE_FIELDS}
    values |= {
        "name": given.get("name", name),
        "engine": given["engine"],
        "timezone": given.get("timezone", site.get("timezone", "UTC")),
        "encryption": given.get("encryption", site.get("encryption", default_encryption())),
        "options": given.get("options", {}),
        "destinations": [_place(place) for place in given.get("destinations", [])],
        "masking": [{"value": "", **rule} for rule in given.get("masking", [])],
    }
    for field in ("compression", "encryption_recipients"):
        values[field] = given.get(field, site.get(field, default_of(Database, field)))
    values |= {"password": given["password"]} if "password" in given else {}
    return Entry("database", name, path, row, {**values, "managed": True}, _save_database)


def _place(given: Any) -> dict[str, Any]:
    """An id alone, or with how many days copies stay there."""
    place = {"id": given} if isinstance(given, str) else given
    return {"destination": place["id"], "retention_days": place.get("retention_days")}


def _packages(given: Mapping[str, Any]) -> Entry:
    values = {name: given.get(name, default_of(PackagePolicy, name)) for name in PACKAGE_FIELDS}
    values["destination"] = given.get("destination")
    return Entry("package policy", "", ("package-conf",), package_policy(), {**values, "managed": True}, _save_packages)


def _exports(given: Mapping[str, Any]) -> Iterator[Entry]:
    values = {**exports.policy_values(given), "managed": True}
    yield Entry("export policy", "", ("exports",), export_policy(), values, _save_exports)
    for number, source in enumerate(given.get("sources") or []):
        path, values = ("exports", "sources", number), {**exports.source_values(source), "managed": True}
        yield Entry("export source", source["id"], path, exports.source_of(source), values, _save_source)


def _save_policy(entry: Entry) -> None:
    save_policy(values=entry.values)


def _save_destination(entry: Entry) -> None:
    save_destination(destination=entry.row, values=entry.values, create=not entry.exists, prepare=False)


def _save_database(entry: Entry) -> None:
    values = {name: value for name, value in entry.values.items() if name not in ("destinations", "masking")}
    values["placements"] = entry.values["destinations"]
    protect_database(database=entry.row, values=values, create=not entry.exists)
    save_masking(database=entry.row, rules=entry.values["masking"])


def _save_drill_plan(entry: Entry) -> None:
    save_plan(name=entry.name, values=entry.values)


def _save_packages(entry: Entry) -> None:
    save_package_policy(values=entry.values)


def _save_exports(entry: Entry) -> None:
    save_export_policy(values=entry.values)


def _save_source(entry: Entry) -> None:
    save_source(source=entry.row, values=entry.values, create=not entry.exists)


def default_of(model: type[Model], name: str) -> Any:
    return model._meta.get_field(name).get_default()  # type: ignore[union-attr]


def _now(row: Any, name: str) -> Any:
    """What the row says today, secrets opened."""
    if name == "secret_key":
        return unseal(row.secrets).get("secret_key", "")
    if name == "password":
        return unseal(row.secrets).get("password", "")
    if name == "options":
        return _with_defaults(row, {**row.options, **unseal(row.secrets).get("options", {})})
    if name == "destinations":
        places = [] if row._state.adding else row.placements.all()
        return [{"destination": one.destination_id, "retention_days": one.retention_days} for one in places]
    if name == "masking":
        return [] if row._state.adding else masking_of(row)
    return row.destination_id if name == "destination" else getattr(row, name)


def _comparable(row: Any, name: str, value: Any) -> Any:
    """A value of the file as `_now` says it; a secret option that the file leaves out stays as it is."""
    if name == "masking":
        return sorted(value, key=lambda rule: (rule["item"], rule["column"]))
    if name != "options":
        return value
    left = {secret: text for secret, text in unseal(row.secrets).get("options", {}).items() if secret not in value}
    return _with_defaults(row, {**value, **left})


def _with_defaults(row: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(row, Source):
        return exports.with_defaults(row.kind, options)
    return {option.name: option.default for option in registry.option_fields(row.engine)} | dict(options)
