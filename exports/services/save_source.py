"""Create, change and delete a source of user data: everything is validated before anything is written."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from databases.services.secrets import set_secrets
from exports.models import Source
from exports.services.build_source import build_source
from exports.sources import registry
from jobs.errors import BackupError
from jobs.fields import unseal


def save_source(*, source: Source, values: Mapping[str, Any], create: bool) -> Source:
    """Sets `values` on the row and writes it.

    `values` are fields of Source, plus `password` and the kind's secret options inside `options`; a secret that is
    left out keeps its value, an empty one removes it. Raises ValidationError with every fault at once by field
    (`options.url`), and BackupError(code="id_taken") when the id exists.
    """
    if not create and values.get("kind", source.kind) != source.kind:
        raise ValidationError({"kind": ["The kind of a source cannot change."]})
    for name, value in values.items():
        if name not in ("password", "options"):
            setattr(source, name, value)
    faults = _set_secrets(source, values) or _faults(source)
    if faults:
        raise ValidationError(faults)
    try:
        with transaction.atomic():
            source.save(force_insert=create)
    except IntegrityError as error:
        raise BackupError(f"A source with the id {source.pk!r} exists.", code="id_taken", permanent=True) from error
    return source


def delete_source(*, source: Source) -> None:
    """Exports that were made stay; one that runs has its source read already, or fails and says so."""
    source.delete()


def _set_secrets(source: Source, values: Mapping[str, Any]) -> dict[str, Any]:
    try:
        names = {one.name for one in registry.option_fields(source.kind) if one.secret}
    except BackupError as error:
        return {"kind": [str(error)]}
    set_secrets(row=source, values=values, secret_options=names)
    return {}


def _faults(source: Source) -> dict[str, Any]:
    faults: dict[str, Any] = {}
    try:
        source.clean_fields()
    except ValidationError as error:
        faults |= error.message_dict
    options = {**source.options, **unseal(source.secrets).get("options", {})}
    shapes = registry.option_faults(source.kind, options)
    if shapes:
        return faults | {f"options.{name}": [text] for name, text in shapes.items()}
    built = build_source(source=source)
    return faults | {name: [text] for name, text in built.validate(built.connection, built.options).items()}
