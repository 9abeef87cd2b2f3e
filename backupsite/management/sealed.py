"""Every encrypted column of every model, and the tokens in it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db.models import Model

from jobs.fields import EncryptedJSONField, Sealed

BATCH = 200


@dataclass(frozen=True)
class Column:
    model: type[Model]
    name: str


def sealed_columns() -> list[Column]:
    return [
        Column(model, field.name)
        for model in apps.get_models()
        for field in model._meta.local_concrete_fields
        if isinstance(field, EncryptedJSONField)
    ]


def tokens_of(column: Column) -> Iterator[tuple[Any, str]]:
    """(primary key, token) of each row, read in batches by key, so that no transaction stays open meanwhile."""
    rows = column.model._default_manager.exclude(**{f"{column.name}__isnull": True}).order_by("pk")
    last = None
    while True:
        batch = rows if last is None else rows.filter(pk__gt=last)
        found = list(batch.values_list("pk", column.name)[:BATCH])
        for key, sealed in found:
            yield key, sealed.token
        if len(found) < BATCH:
            return
        last = found[-1][0]


def replace_token(column: Column, key: Any, old: str, new: str) -> bool:
    """Only where the row still holds the old one: what somebody saved meanwhile stays. True when it was replaced."""
    rows = column.model._default_manager.filter(pk=key, **{column.name: Sealed(old)})
    return bool(rows.update(**{column.name: Sealed(new)}))
