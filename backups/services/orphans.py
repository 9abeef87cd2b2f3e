"""Objects in a store that no row knows, and rows whose object is missing."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from backups.artefact import artefact_key, looks_like_ours
from backups.destinations import open_storage
from backups.models import Copy, Destination
from backups.registry import objects
from backups.storage.base import PERMISSION, ObjectStorage
from jobs.errors import BackupError

YOUNG = timedelta(days=1)  # may belong to a run of another site, or of one whose rows are not yet to be seen
PAGE = 500


@dataclass(frozen=True)
class Orphan:
    """An object, or with `unfinished` a write that never ended (`upload_id` where the store has such). Bytes, UTC."""

    key: str
    size: int
    modified: datetime
    unfinished: bool = False
    upload_id: str = ""


@dataclass
class Findings:
    """`seen` objects, of which `foreign` are none of ours and `young` may belong to a run.

    Keys of rows: `missing` have no object, `differing` one of another size than was stored.
    """

    destination: str
    seen: int = 0
    foreign: int = 0
    young: int = 0
    orphans: list[Orphan] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        return asdict(self)


def find_orphans(*, destination: Destination, now: datetime | None = None) -> Findings:
    """Reads the whole list of the store. Raises BackupError when it does not answer."""
    storage, found, sizes = open_storage(destination), Findings(destination.pk), _sizes(destination)
    versions = _versions(destination)
    unseen = [dict(rows.filter(state="stored").values_list("key", "pk")) for rows in _rows(destination)]
    before = (now or timezone.now()) - YOUNG
    for page in _pages(Orphan(one.key, one.size, one.modified) for one in storage.list()):
        found.seen += len(page)
        for one in page:
            if sizes.get(one.key, one.size) != one.size and not _is_below(storage, one.key, versions, sizes[one.key]):
                found.differing.append(one.key)
            for keys in unseen:
                keys.pop(one.key, None)
        _sort(page, destination, found, before)
    try:
        for page in _pages(Orphan(one.key, 0, one.started, True, one.upload_id) for one in storage.list_unfinished()):
            _sort(page, destination, found, before)
    except BackupError as error:
        if error.code != PERMISSION:
            raise
        found.notes.append("The credentials may not list unfinished uploads: those were not looked at.")
    for rows, keys in zip(_rows(destination), unseen, strict=True):
        found.missing += [
            key for key, pk in sorted(keys.items()) if _is_missing(storage, rows.filter(pk=pk), key, versions)
        ]
    return found


def _sizes(destination: Destination) -> dict[str, int | None]:
    rows = Copy.objects.filter(destination=destination, state=Copy.State.STORED, backup__size__isnull=False)
    return dict(rows.values_list("key", "backup__size"))


def _versions(destination: Destination) -> dict[str, str]:
    """Which version of an object is the backup: that one is read, whatever was put over it since."""
    rows = Copy.objects.filter(destination=destination, state=Copy.State.STORED).exclude(version_id="")
    return dict(rows.values_list("key", "version_id"))


def _is_below(storage: ObjectStorage, key: str, versions: dict[str, str], size: int | None) -> bool:
    own = storage.stat(key, version_id=versions[key]) if key in versions else None
    return own is not None and own.size == size


def remove_orphans(*, destination: Destination, orphans: Iterable[Orphan]) -> int:
    """Removes those that still no row knows; returns how many. Raises BackupError when the store does not answer."""
    storage, removed = open_storage(destination), 0
    for page in _pages(orphans):
        known = _known(destination, page)
        for orphan in page:
            if artefact_key(orphan.key) in known:
                continue
            if orphan.unfinished:
                storage.abort_uploads(orphan.key, upload_id=orphan.upload_id or None)
            else:
                storage.delete(orphan.key)
            removed += 1
    return removed


def _sort(page: list[Orphan], destination: Destination, found: Findings, before: datetime) -> None:
    known = _known(destination, page)
    for one in page:
        if artefact_key(one.key) in known:
            continue
        if not looks_like_ours(one.key):
            found.foreign += 1
        elif one.modified > before:
            found.young += 1
        else:
            found.orphans.append(one)


def _known(destination: Destination, page: list[Orphan]) -> set[str]:
    keys = {artefact_key(one.key) for one in page}
    rows = [source.filter(destination__in=same_place(destination), key__in=keys) for source in _sources()]
    return {key for found in rows for key in found.values_list("key", flat=True)}


def same_place(destination: Destination) -> list[str]:
    """Ids of Destinations that may be this place by another row: a bucket is the same under each of its addresses.

    A folder belongs to one Destination, by its marker.
    """
    if destination.kind != Destination.Kind.S3:
        return [destination.pk]
    rows = Destination.objects.filter(kind=destination.kind, bucket=destination.bucket).values_list("pk", "prefix")
    return [pk for pk, prefix in rows if prefix.strip("/") == destination.prefix.strip("/")]


def _rows(destination: Destination) -> list[QuerySet[Any]]:
    return [source.filter(destination=destination) for source in _sources()]


def _sources() -> list[QuerySet[Any]]:
    return [Copy.objects.all(), *objects()]


def _is_missing(storage: ObjectStorage, row: QuerySet[Any], key: str, versions: dict[str, str]) -> bool:
    """The list may have been read around a change: each suspect is asked for by itself."""
    return storage.stat(key, version_id=versions.get(key, "")) is None and row.filter(state="stored").exists()


def _pages(found: Iterable[Orphan]) -> Iterator[list[Orphan]]:
    rest = iter(found)
    while page := list(islice(rest, PAGE)):
        yield page
