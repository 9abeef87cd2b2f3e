"""Adopt what lies in a store: sidecars become rows, so that a manager that lost its own lists and restores it all."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

from django.db import transaction
from django.utils import timezone

from backups.artefact import sidecar_key
from backups.destinations import open_storage
from backups.models import Backup, Copy, Destination
from backups.services.list_sidecars import PAGE, Listed, pages, read_sidecar
from backups.services.orphans import same_place
from backups.services.read_sidecar import Found
from backups.storage.base import ObjectStorage
from jobs.errors import BackupError
from jobs.models import LogLine, Status
from notifications.models import Severity
from notifications.services.record import record_event

READERS = 8
TOLD = 1000


@dataclass(frozen=True)
class Refused:
    key: str
    reason: str


@dataclass
class Adoption:
    """What one Destination gave. `databases` counts the new backups by Database id; `refused` are the first of them.

    `error` says why it could not be read to its end; it is empty when it was.
    """

    destination: str
    error: str = ""
    sidecars: int = 0
    known: int = 0
    backups: int = 0
    copies: int = 0
    packages: int = 0
    refusals: int = 0
    refused: list[Refused] = field(default_factory=list)
    databases: dict[str, int] = field(default_factory=dict)

    def refuse(self, key: str, reason: str) -> None:
        self.refusals += 1
        if len(self.refused) < TOLD:
            self.refused.append(Refused(key, reason))


@dataclass(frozen=True)
class _Known:
    database: str
    status: str
    size: int | None
    sha256: str


def adopt(*, destinations: Sequence[Destination], dry_run: bool = False) -> list[Adoption]:
    """Twice is the same as once. What further destinations hold of the same backups becomes further copies.

    Nothing is written to a store. One that does not answer, lost with its machine say, holds up no other.
    """
    run = _Run(dry_run)
    for destination in destinations:
        run.read(destination)
    while run.waiting and run.retry():
        pass
    for adoption, one in run.waiting:
        adoption.refuse(one.key, f"builds on {one.parent}, which is not here")
    run.tell()
    return run.adoptions


class _Run:
    def __init__(self, dry_run: bool) -> None:
        self.adoptions: list[Adoption] = []
        self.waiting: list[tuple[Adoption, _Waiting]] = []
        self._dry_run = dry_run
        self._would: dict[str, _Known] = {}  # of a dry run, what the rows would be

    def read(self, destination: Destination) -> None:
        adoption = Adoption(destination.pk)
        self.adoptions.append(adoption)
        try:
            storage = open_storage(destination)
            for page in pages(storage):
                self._take(adoption, destination, storage, page)
        except BackupError as error:
            adoption.error = str(error)

    def retry(self) -> bool:
        """Those whose parents have come meanwhile; whether there were any."""
        before, self.waiting = self.waiting, []
        come = _known_backups({one.parent for _, one in before}, self._would)
        for adoption in self.adoptions:
            own = [one for waits, one in before if waits is adoption]
            self.waiting += [(adoption, one) for one in own if one.parent not in come]
            ready = iter([one for one in own if one.parent in come])
            while page := list(islice(ready, PAGE)):
                place = page[0].destination
                self._take(adoption, place, open_storage(place), [one.listed for one in page], again=True)
        return len(self.waiting) < len(before)

    def _take(
        self,
        adoption: Adoption,
        destination: Destination,
        storage: ObjectStorage,
        page: list[Listed],
        *,
        again: bool = False,
    ) -> None:
        """The stores are asked first, in parallel; then one transaction writes what the page gave."""
        adoption.sidecars += 0 if again else len(page)
        packages = [one for one in page if one.key.startswith("packages/")]
        adoption.packages += len(packages)
        ours = [one for one in page if one not in packages]
        there = _rows_of(destination, ours)
        adoption.known += len(there)
        with ThreadPoolExecutor(READERS) as readers:
            new = [one for one in ours if one.key not in there]
            answers = list(readers.map(lambda one: read_sidecar(storage, one), new))
        found: list[tuple[Listed, Found]] = []
        for one, answer in zip(new, answers, strict=True):
            if isinstance(answer, Found):
                found.append((one, answer))
            else:
                adoption.refuse(sidecar_key(one.key), answer)
        with transaction.atomic():
            # Another adoption of the same place waits here, and then finds the rows.
            Destination.objects.select_for_update().get(pk=destination.pk)
            self._write(adoption, destination, found, _rows_of(destination, [one for one, _ in found]))

    def _write(
        self, adoption: Adoption, destination: Destination, found: list[tuple[Listed, Found]], there: set[str]
    ) -> None:
        ids = {one.parts.run for _, one in found} | {one.parent for _, one in found if one.parent}
        known, taken = _known_backups(ids, self._would), _numbers(destination, ids)
        backups, copies = [], []
        for listed, one in found:
            row, number = known.get(one.parts.run), (one.parts.run, one.parts.attempt)
            if one.key in there:
                continue
            if row is None and one.parent and one.parent not in known:
                self.waiting.append((adoption, _Waiting(one.key, one.parent, destination, listed)))
                continue
            if reason := _conflict(one, row, known) or ("its number is another copy's here" if number in taken else ""):
                adoption.refuse(one.key, reason)
                continue
            if row is None:
                known[one.parts.run] = self._count(adoption, one)
                backups.append(one)
            else:
                adoption.copies += 1
            taken.add(number)
            copies.append(one)
        if not self._dry_run:
            _add(destination, backups, copies)

    def _count(self, adoption: Adoption, one: Found) -> _Known:
        adoption.backups += 1
        adoption.databases[one.parts.folder] = adoption.databases.get(one.parts.folder, 0) + 1
        row = _Known(one.parts.folder, Status.COMPLETED, one.size, one.sha256)
        if self._dry_run:
            self._would[one.parts.run] = row
        return row

    def tell(self) -> None:
        for adoption in self.adoptions:
            if not self._dry_run and (adoption.backups or adoption.copies):
                record_event(
                    kind="backups.adopted",
                    severity=Severity.INFO,
                    subject_id=adoption.destination,
                    message=f"{adoption.backups} backups and {adoption.copies} further copies were adopted from "
                    f"{adoption.destination}.",
                )


@dataclass(frozen=True)
class _Waiting:
    """An incremental whose parent has not been seen yet."""

    key: str
    parent: str
    destination: Destination
    listed: Listed


def _rows_of(destination: Destination, listed: Iterable[Listed]) -> set[str]:
    """Keys that rows know, also those of another Destination that is the same place."""
    rows = Copy.objects.filter(destination__in=same_place(destination), key__in=[one.key for one in listed])
    return set(rows.values_list("key", flat=True))


def _known_backups(ids: Iterable[str], would: dict[str, _Known]) -> dict[str, _Known]:
    wanted = list(ids)
    rows = Backup.objects.filter(pk__in=wanted).values_list("pk", "database_id", "status", "size", "sha256")
    found = {pk: _Known(str(database), status, size, sha256) for pk, database, status, size, sha256 in rows}
    return found | {pk: would[pk] for pk in wanted if pk in would}


def _numbers(destination: Destination, ids: Iterable[str]) -> set[tuple[str, int]]:
    return set(Copy.objects.filter(destination=destination, backup__in=ids).values_list("backup_id", "attempt"))


def _conflict(one: Found, row: _Known | None, known: dict[str, _Known]) -> str:
    """Why it is not taken, empty when it is."""
    if row is not None:
        if row.status != Status.COMPLETED:
            return f"{one.parts.run} is {row.status} here"
        same = (row.database, row.size, row.sha256) == (one.parts.folder, one.size, one.sha256)
        return "" if same else f"{one.parts.run} is another artefact here: its size or SHA-256 differs"
    parent = known.get(one.parent)
    if parent is not None and parent.database != one.parts.folder:
        return f"builds on {one.parent}, which is of another Database"
    if parent is not None and parent.status != Status.COMPLETED:
        return f"builds on {one.parent}, which is {parent.status} here"
    return ""


def _add(destination: Destination, backups: list[Found], copies: list[Found]) -> None:
    """A sidecar does not say when the run ended: its start stands for that too."""
    Backup.objects.bulk_create(
        Backup(
            pk=one.parts.run,
            status=Status.COMPLETED,
            attempt=one.parts.attempt,
            parent_id=one.parent or None,
            started_at=one.parts.at,
            finished_at=max(one.parts.at, one.fields["created_at"]),
            bytes_done=one.fields["original_size"],
            **one.fields,
        )
        for one in backups
    )
    message = f"adopted from {destination.pk} on {timezone.now():%Y-%m-%d %H:%M} UTC, by its sidecar"
    LogLine.objects.bulk_create(
        LogLine(job_kind=Backup.kind, job_id=one.parts.run, attempt=one.parts.attempt, message=message)
        for one in backups
    )
    Copy.objects.bulk_create(
        Copy(
            backup_id=one.parts.run,
            destination=destination,
            attempt=one.parts.attempt,
            key=one.key,
            state=Copy.State.STORED,
        )
        for one in copies
    )
