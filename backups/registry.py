"""What higher rooms tell this one: who else reads backups, and what else Destinations hold."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from django.db.models import Count, QuerySet, Sum

Readers = Callable[[], QuerySet[Any]]
Objects = Callable[[], QuerySet[Any]]

_readers: list[Readers] = []
_objects: list[tuple[Objects, str]] = []


def register_readers(source: Readers) -> None:
    """`source()` gives a pair (`backup_id`, the run's id), by `values_list`, for each backup an open run reads."""
    _readers.append(source)


def register_objects(source: Objects, *, size: str) -> None:
    """`source()` gives a row for each object that is, or may be, stored: with `destination`, `key` and `state`.

    The state is `stored` where the object has to be there; `size` names, as a lookup, its stored bytes.
    """
    _objects.append((source, size))


def readers() -> list[QuerySet[Any]]:
    return [source() for source in _readers]


def objects() -> list[QuerySet[Any]]:
    return [source() for source, _ in _objects]


def other_objects(destination_id: str) -> int:
    """How many objects lie at a Destination beside the copies of backups."""
    return sum(source().filter(destination=destination_id).count() for source, _ in _objects)


def others_stored() -> Counter[tuple[str, str]]:
    """What is stored beside the copies of backups: (Destination, "bytes" or "objects"); one query for each kind."""
    found: Counter[tuple[str, str]] = Counter()
    for source, size in _objects:
        stored = source().filter(state="stored").order_by().values("destination_id")
        for row in stored.annotate(bytes=Sum(size), objects=Count("pk")):
            found[row["destination_id"], "bytes"] += row["bytes"] or 0
            found[row["destination_id"], "objects"] += row["objects"]
    return found
