"""Put given secrets into a row that keeps them sealed: a Database, or whatever else is configured like one."""

from collections.abc import Collection, Mapping
from typing import Any

from jobs.fields import unseal


def set_secrets(*, row: Any, values: Mapping[str, Any], secret_options: Collection[str]) -> None:
    """Takes `password` and `options` out of `values` into the row's `secrets`, `secret_names` and `options`.

    A secret that is left out keeps its value, an empty one is removed. Writes nothing to the database.
    """
    secrets = dict(unseal(row.secrets))
    if "password" in values:
        secrets["password"] = values["password"] or ""
    if "options" in values:
        given = dict(values["options"] or {})
        kept = dict(secrets.get("options", {}))
        kept |= {name: given.pop(name) for name in list(given) if name in secret_options}
        secrets["options"] = {name: value for name, value in kept.items() if value}
        row.options = given
    row.secrets = secrets
    row.secret_names = sorted(
        [name for name in ("password",) if secrets.get(name)]
        + [f"options.{name}" for name in secrets.get("options", {})]
    )
