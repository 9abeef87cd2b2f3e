"""Request a backup of a service's records: by the name of the service, and of one of its collections."""

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError

from backups.models import Backup
from backups.selectors import collections_of, database_named
from backups.services.request import request_backup


def request_records(
    *,
    service_name: str,
    collection: str = "",
    type: str = Backup.Type.FULL,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    **request: Any,
) -> Backup:
    """One collection of several is a selective backup; the only one, or all of them, is what `type` says.

    `service_name` is an id or a name. `request` is what `request_backup` takes besides. Raises ValidationError by
    field for a name that is unknown or no service's, and BackupError: ambiguous_name, and as `request_backup` does.
    """
    database = database_named(service_name)
    if database is None:
        raise ValidationError({"service_name": [f"No Database has the id or the name {service_name!r}."]})
    known = collections_of(database)
    if not known:
        raise ValidationError({"service_name": [f"{database.pk} is no service: it has no collections."]})
    if collection and collection not in known:
        raise ValidationError({"collection": [f"{database.pk} has the collections {', '.join(known)}."]})
    if collection and (include or exclude):
        raise ValidationError({"collection": ["Choose by 'collection', or by 'include' and 'exclude'."]})
    asked = {**request, "type": type, "include": include, "exclude": exclude}
    if collection and len(known) > 1:
        asked["include"] = [collection]
        asked["type"] = Backup.Type.SELECTIVE if type == Backup.Type.FULL else type
    return request_backup(database=database, collection=collection, **asked)
