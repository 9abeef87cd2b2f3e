"""Save a Database with what this room promises about it: who can open its backups, and where they go."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from backups.pipeline.keys import valid_recipient
from backups.services.place import place_database
from databases.models import Database
from databases.services.save import save_database


def protect_database(*, database: Database, values: Mapping[str, Any], create: bool) -> Database:
    """`values` as `save_database` takes them, and where copies go: `destinations`, ids in their order, none for the
    default one; or `placements`, mappings with `destination` and `retention_days`.

    Raises ValidationError by field, and BackupError(code="id_taken") when the id exists.
    """
    if not all(map(valid_recipient, values.get("encryption_recipients") or ())):
        # Not repeated: it may be a secret key by mistake, which would be stored and shown to every viewer.
        raise ValidationError(
            {"encryption_recipients": ["A recipient is one line that starts with age1, ssh-ed25519 or ssh-rsa."]}
        )
    own = {name: value for name, value in values.items() if name not in ("destinations", "placements")}
    with transaction.atomic():
        saved = save_database(database=database, values=own, create=create)
        if "placements" in values:
            days = {place["destination"]: place.get("retention_days") for place in values["placements"]}
            names = [place["destination"] for place in values["placements"]]
            place_database(database=saved, destination_ids=names, retention_days=days)
        elif "destinations" in values:
            place_database(database=saved, destination_ids=values["destinations"])
    return saved
