"""A backup beside the one before it: plain differences of sizes, seconds and counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from backups.models import Backup
from jobs.models import Status

Counts = Mapping[str, int | None]

# What a comparison reads of the earlier one; `manifest` holds the counts.
COLUMNS = (
    "size",
    "original_size",
    "started_at",
    "finished_at",
    "created_at",
    "manifest",
    "status",
    "include",
    "exclude",
)


@dataclass(frozen=True)
class Item:
    """One table, collection or prefix. `now` and `before` are None where it was not counted, or is not there."""

    name: str
    now: int | None
    before: int | None
    is_new: bool = False
    is_gone: bool = False

    @property
    def change(self) -> int | None:
        """None where there is nothing to compare."""
        if self.now is None or self.before is None:
            return None
        return self.now - self.before


@dataclass(frozen=True)
class Figure:
    now: float | None
    before: float | None

    @property
    def percent(self) -> float | None:
        """Of what it was; None where that says nothing."""
        if self.now is None or not self.before:
            return None
        return round(100 * (self.now - self.before) / self.before, 1)


class Manifest:
    """What a backup counted, against what the one before it had; without one, only what it counted."""

    def __init__(self, backup: Backup, previous: Backup | None) -> None:
        self.counts = counts_of(backup)
        self.previous = counts_of(previous) if previous else {}
        self._compares = bool(self.counts and self.previous)

    @cached_property
    def items(self) -> list[Item]:
        """The largest first; what was not counted last."""
        found = [
            Item(name, rows, self.previous.get(name), is_new=self._compares and name not in self.previous)
            for name, rows in self.counts.items()
        ]
        return sorted(found, key=lambda item: (item.now is None, -(item.now or 0), item.name))

    @cached_property
    def gone(self) -> list[Item]:
        """What the one before held and this one does not, the largest first."""
        names = self.previous.keys() - self.counts.keys() if self._compares else set()
        rows = [Item(name, None, self.previous[name], is_gone=True) for name in names]
        return sorted(rows, key=lambda item: (-(item.before or 0), item.name))

    @cached_property
    def new(self) -> list[Item]:
        return [item for item in self.items if item.is_new]

    @cached_property
    def changed(self) -> list[Item]:
        """What both held and one counted otherwise, the furthest apart first."""
        found = [item for item in self.items if item.change]
        return sorted(found, key=lambda item: (-abs(item.change or 0), item.name))

    @property
    def counted(self) -> int:
        return sum(rows is not None for rows in self.counts.values())

    def found(self, text: str) -> list[Item]:
        """Items whose name holds `text`, in any case; what is gone comes last."""
        wanted = text.casefold()
        return [item for item in (*self.items, *self.gone) if wanted in item.name.casefold()]


class Comparison:
    """The figures of a backup and of the one before it."""

    def __init__(self, backup: Backup, previous: Backup, manifest: Manifest) -> None:
        self.previous = previous
        self.manifest = manifest
        self.stored = Figure(backup.size, previous.size)
        self.plain = Figure(backup.original_size, previous.original_size)
        self.seconds = Figure(backup.duration_s, previous.duration_s)
        self.items = Figure(len(manifest.counts), len(manifest.previous))
        self.rows = Figure(_rows_of(backup), _rows_of(previous))


def _rows_of(backup: Backup) -> int | None:
    """None where one count is missing: a sum of some would jump when the time sufficed for more."""
    files = _facts(backup).get("file_count")
    if isinstance(files, int):
        return files  # a bucket counts the whole and each prefix
    rows = list(counts_of(backup).values())
    return None if None in rows or not rows else sum(filter(None, rows))


def counts_of(backup: Backup) -> Counts:
    counts: Any = _facts(backup).get("counts", {})
    return counts if isinstance(counts, dict) else {}


def _facts(backup: Backup) -> dict[str, Any]:
    """What the engine wrote into the manifest."""
    facts = backup.manifest.get("engine", {})
    return facts if isinstance(facts, dict) else {}


def previous_of(backup: Backup) -> Backup | None:
    """The good one of the same Database, kind and selection that ended last before this one began.

    One that retention took counts too: its row stays as history.
    """
    same: dict[str, Any] = {"database": backup.database_id, "type": backup.type, "collection": backup.collection}
    good = Backup.objects.filter(status__in=(Status.COMPLETED, Status.EXPIRED), created_at__lt=backup.created_at)
    rows = good.filter(**same).only(*COLUMNS).order_by("-created_at", "-pk")[:5]
    return next((row for row in rows if (row.include, row.exclude) == (backup.include, backup.exclude)), None)
