"""What a restore would do to its target: what the target holds now, beside what the backup holds."""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from backups.comparison import counts_of
from backups.models import Backup
from databases.engines import registry
from databases.engines.base import Inventory, InventoryItem
from databases.models import Database
from databases.services.check import read_inventory

# Options that narrow what a Database backs up. A restore empties its target of what they hide, too.
SELECTIONS = frozenset(
    {"include", "exclude", "include_tables", "exclude_tables", "schemas", "include_collections", "exclude_collections"}
)


class Fate(StrEnum):
    """What becomes of one table, collection or prefix of the target."""

    REMOVED = "removed"  # the backup does not hold it
    REPLACED = "replaced"  # by what the backup holds
    MERGED = "merged"  # what is called the same is replaced, the rest stays
    ADDED = "added"
    KEPT = "kept"
    REFUSED = "refused"  # it is there, and the restore is not to replace anything


@dataclass(frozen=True)
class Row:
    """`rows` and `size` are what the target holds, by its server's own estimate; `coming` what the backup counted."""

    name: str
    fate: Fate
    rows: int | None = None
    size: int | None = None
    coming: int | None = None


@dataclass(frozen=True)
class Preview:
    """`rows` with the worst fates first; `size` is of all that the target holds."""

    rows: list[Row]
    size: int | None = None
    tally: Mapping[Fate, int] = field(default_factory=dict)

    @property
    def is_refused(self) -> bool:
        return Fate.REFUSED in self.tally

    @property
    def loses(self) -> bool:
        """Whether anything that the target holds is no more afterwards."""
        return any(fate in self.tally for fate in (Fate.REMOVED, Fate.REPLACED, Fate.MERGED))


def preview_restore(
    *,
    backup: Backup,
    target: Database,
    include: Sequence[str] = (),
    drop_existing: bool = False,
    delete_extra: bool = False,
) -> Preview:
    """Asks the target's server. Raises BackupError when it does not answer."""
    whole = copy(target)
    whole.options = {name: value for name, value in target.options.items() if name not in SELECTIONS}
    inventory = read_inventory(database=whole)
    engine, manifest = registry.engine_class(backup.engine), backup.manifest.get("engine", {})
    held = {item.name: item for item in inventory.items if not (engine.merges and item.rows == 0)}
    coming = _chosen(_named_alike(counts_of(backup), held), include)
    fates = _Fates(
        drop=drop_existing,
        extra=(drop_existing and engine.empties(manifest, include=include)) or delete_extra,
        merges=engine.merges,
        minds_all=not include and (not engine.merges or "delete_extra" in engine.supports),
    )
    rows = [_row(name, held.get(name), coming, fates) for name in {**held, **coming}]
    return _preview(rows, inventory)


@dataclass(frozen=True)
class _Fates:
    drop: bool
    extra: bool  # what the backup does not hold is removed
    merges: bool
    minds_all: bool  # without `drop` a target is refused for what it holds beyond the backup, too

    def of(self, *, here: bool, comes: bool) -> Fate:
        if not here:
            return Fate.ADDED
        if not self.drop:
            return Fate.REFUSED if comes or self.minds_all else Fate.KEPT
        if comes:
            return Fate.MERGED if self.merges and not self.extra else Fate.REPLACED
        return Fate.REMOVED if self.extra else Fate.KEPT


def _row(name: str, item: InventoryItem | None, coming: Mapping[str, int | None], fates: _Fates) -> Row:
    fate = fates.of(here=item is not None, comes=name in coming)
    rows, size = (item.rows, item.size) if item else (None, None)
    return Row(name, fate, rows=rows, size=size, coming=coming.get(name))


def _preview(rows: Iterable[Row], inventory: Inventory) -> Preview:
    order = list(Fate)
    order.insert(0, order.pop(order.index(Fate.REFUSED)))
    listed = sorted(rows, key=lambda row: (order.index(row.fate), -(row.size or row.rows or 0), row.name))
    tally = {fate: count for fate in order if (count := sum(row.fate == fate for row in listed))}
    return Preview(listed, inventory.size, tally)


def _named_alike(counts: Mapping[str, int | None], held: Mapping[str, InventoryItem]) -> dict[str, int | None]:
    """A MongoDB Database of one database names its collections without that database, its manifests with it."""
    whole = {name: rows for name, rows in counts.items() if name != "objects"}  # of a bucket: all of them
    names = {name.partition(".")[2] for name in whole}
    short = "" not in names and not any(name in held for name in whole) and names & held.keys()
    return {name.partition(".")[2] if short else name: rows for name, rows in whole.items()}


def _chosen(counts: Mapping[str, int | None], include: Sequence[str]) -> dict[str, int | None]:
    if not include:
        return dict(counts)
    return {name: rows for name, rows in counts.items() if any(_means(pattern, name) for pattern in include)}


def _means(pattern: str, name: str) -> bool:
    """As near as a preview comes to what each engine makes of its patterns: the whole name, its last part, a prefix."""
    short = name.partition(".")[2] or name
    return any(fnmatchcase(one, pattern) for one in (name, short)) or (name.endswith("/") and pattern.startswith(name))
