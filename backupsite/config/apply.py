"""Make the site what config.yaml says: everything is validated first, and written in one transaction or not at all."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from backups.destinations import open_storage
from backups.models import Destination
from backups.services.save_destination import delete_destination
from backupsite.config.entries import Entry, entries
from backupsite.config.reading import ConfigRefused, Document, Fault, read_file
from backupsite.config.shape_faults import shape_faults
from databases.models import Database
from databases.schedule import timezone_fault
from databases.services.consent import HOST
from databases.services.delete import delete_database
from exports.models import Source
from exports.services.save_source import delete_source
from jobs.errors import BackupError
from jobs.models import Capacity


@dataclass(frozen=True)
class Change:
    """What was done to a row, or would be. `fields` are names: of values the file may hold secrets."""

    action: str  # create, change, delete, left over
    kind: str
    name: str
    fields: tuple[str, ...] = ()

    def __str__(self) -> str:
        what = f"{self.action} {self.kind} {self.name}".rstrip()
        return f"{what}: {', '.join(self.fields)}" if self.fields else what


def apply_config(*, path: Path, plan: bool = False, prune: bool = False) -> list[Change]:
    """Returns what was changed, nothing when the site is as the file says; with `plan` nothing is written.

    `prune` deletes what an earlier file brought and this one leaves out of a section that it has; their backups stay.
    Raises ConfigRefused with every fault at once.
    """
    return apply_document(document=read_file(path), plan=plan, prune=prune)


def apply_document(*, document: Document, plan: bool = False, prune: bool = False) -> list[Change]:
    """As `apply_config`, of a document that was read."""
    document.faults += shape_faults(document)
    document.faults += _doubled(document)
    document.faults += _lost_in_time(document)
    if document.faults:
        raise ConfigRefused(document.faults)
    with transaction.atomic():
        asked = list(entries(document))
        changes = [*_parallel(document), *_write(document, asked)]
        changes += _left_over(document, {(entry.kind, entry.name) for entry in asked}, prune=prune)
        document.faults += _homeless(document)
        if document.faults:
            raise ConfigRefused(document.faults)
        transaction.set_rollback(plan)
    if not plan:
        _make_folders(changes)
    return changes


def _write(document: Document, asked: Iterable[Entry]) -> Iterator[Change]:
    """Goes on after a fault: all of them are told at once, and the transaction is taken back."""
    for entry in asked:
        fields = entry.changed()
        if not fields:
            continue
        action = "change" if entry.exists else "create"
        if _saved(document, entry):
            shown = () if action == "create" else tuple(name for name in fields if name != "managed")
            yield Change(action, entry.kind, entry.name, shown)


def _saved(document: Document, entry: Entry) -> bool:
    try:
        with transaction.atomic():
            entry.save(entry)
    except ValidationError as error:
        for field, texts in error.message_dict.items():
            own = (*entry.path, *field.split("."))
            document.faults += [document.fault(own, text) for text in texts]
        return False
    except BackupError as error:
        document.faults.append(document.fault(entry.path, str(error)))
        return False
    return True


def _parallel(document: Document) -> Iterator[Change]:
    if "global" in document.values:
        wanted = (document.values["global"] or {}).get("max_parallel_jobs")
        row, _ = Capacity.objects.get_or_create(pk=1)
        if row.max_parallel_jobs != wanted:
            Capacity.objects.filter(pk=1).update(max_parallel_jobs=wanted)
            yield Change("change", "policy", "", ("max_parallel_jobs",))


def _lost_in_time(document: Document) -> Iterator[Fault]:
    """The timezone of Databases that name none is no column: nothing else would look at it before one does."""
    zone = (document.values.get("global") or {}).get("timezone") if not document.faults else None
    if zone is not None and (fault := timezone_fault(zone)):
        yield document.fault(("global", "timezone"), fault)


def _doubled(document: Document) -> Iterator[Fault]:
    exports = document.values.get("exports")
    lists: tuple[tuple[tuple[str, ...], Any], ...] = (
        (("storage",), document.values.get("storage")),
        (("databases",), document.values.get("databases")),
        (("exports", "sources"), exports.get("sources") if isinstance(exports, dict) else None),
    )
    for section, given in lists:
        seen: set[str] = set()
        for number, item in enumerate(given if isinstance(given, list) else ()):
            name = item.get("id") if isinstance(item, dict) else None
            if isinstance(name, str) and name in seen:
                yield document.fault((*section, number, "id"), "This id is given twice.")
            seen.add(str(name))


def _homeless(document: Document) -> Iterator[Fault]:
    """With one destination it is clear where backups go, with several the file has to say."""
    storage = document.values.get("storage")
    if not isinstance(storage, list):
        return
    marked = [number for number, given in enumerate(storage) if given.get("default")]
    yield from (document.fault(("storage", number, "default"), "Another one is the default.") for number in marked[1:])
    lost = Database.objects.filter(placements__isnull=True).order_by("pk").values_list("pk", flat=True).first()
    if len(storage) > 1 and lost and not Destination.objects.filter(is_default=True).exists():
        yield document.fault(("storage",), f"Mark one with default: true; {lost} and others may name none.")


def _left_over(document: Document, named: set[tuple[str, str]], *, prune: bool) -> Iterator[Change]:
    """Rows that an earlier file brought and this one leaves out."""
    sections = {"database": "databases", "destination": "storage", "export source": "exports"}
    kinds: tuple[tuple[str, Any, Any], ...] = (
        ("database", Database, lambda row: delete_database(database=row, consent=HOST)),
        ("export source", Source, lambda row: delete_source(source=row)),
        ("destination", Destination, lambda row: delete_destination(destination=row)),
    )
    for kind, model, delete in kinds:
        for row in model.objects.filter(managed=True):
            if (kind, row.pk) in named:
                continue
            if not prune or sections[kind] not in document.values:
                yield Change("left over", kind, row.pk)
                continue
            name = row.pk
            try:
                delete(row)
                yield Change("delete", kind, name)
            except BackupError as error:
                document.faults.append(Fault(0, (), f"{kind} {name} cannot be deleted: {error}"))


def _make_folders(changes: list[Change]) -> None:
    """A new folder is made ready here where this host can; `doctor` says what is wrong where it cannot."""
    made = [change.name for change in changes if (change.action, change.kind) == ("create", "destination")]
    for destination in Destination.objects.filter(pk__in=made, kind=Destination.Kind.LOCAL):
        try:
            open_storage(destination).prepare()
        except BackupError:
            continue  # the folder may be another host's
