"""What higher rooms tell this one: who else reads backups, and what else Destinations hold."""

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet

Readers = Callable[[], QuerySet[Any]]
Objects = Callable[[], QuerySet[Any]]

_readers: list[Readers] = []
_objects: list[Objects] = []


def register_readers(source: Readers) -> None:
    """`source()` gives a pair (`backup_id`, the run's id), by `values_list`, for each backup an open run reads."""
    _readers.append(source)


def register_objects(source: Objects) -> None:
    """`source()` gives a row for each object that is, or may be, stored: with `destination`, `key` and `state`.

    The state is `stored` where the object has to be there.
    """
    _objects.append(source)


def readers() -> list[QuerySet[Any]]:
    return [source() for source in _readers]


def objects() -> list[QuerySet[Any]]:
    return [source() for source in _objects]


def other_objects(destination_id: str) -> int:
    """How many objects lie at a Destination beside the copies of backups."""
    return sum(source().filter(destination=destination_id).count() for source in _objects)
