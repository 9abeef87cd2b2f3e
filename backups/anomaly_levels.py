"""What is compared of backups: their figures, by what they are of. Plain Python."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

NUMBERS = re.compile(r"\d+")


class Measure(StrEnum):
    """`size` are plain bytes, `stored` what became of them; `deleted` and `state` are those of an incremental."""

    SIZE = "size"
    STORED = "stored"
    TOTAL = "total"
    ITEM = "item"
    STATE = "state"
    DELETED = "deleted"


class Change(StrEnum):
    FALL = "fall"
    JUMP = "jump"
    EMPTIED = "emptied"
    GONE = "gone"

    @property
    def up(self) -> bool:
        return self is Change.JUMP


Key = tuple[Measure, str]  # the name is of a table, collection or prefix; empty for the others


@dataclass(frozen=True)
class Level:
    """The figures of one backup. `unknown` are items that were not counted, `right` is what somebody said is right."""

    figures: Mapping[Key, int]
    unknown: frozenset[str] = frozenset()
    right: Mapping[Key, Change] = field(default_factory=dict)


def folded(levels: Sequence[Level]) -> list[Level]:
    """Items whose names differ only in numbers, and that come and go (partitions, days), are one.

    The last level is the one that is judged: that an item is gone from it alone is no coming and going.
    """
    names = {name for level in levels for measure, name in level.figures if measure == Measure.ITEM}
    stems = {name: NUMBERS.sub("#", name) for name in names}
    members = [_members(level, stems) for level in levels[:-1]]
    rotating = {
        stem
        for before, after in pairwise(members)
        for stem in before.keys() & after.keys()
        if before[stem] != after[stem]
    }
    if not rotating:
        return list(levels)
    fold = {name: stem for name, stem in stems.items() if stem in rotating}
    return [_fold(level, fold) for level in levels]


def _members(level: Level, stems: Mapping[str, str]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for measure, name in level.figures:
        if measure == Measure.ITEM and stems[name] != name:
            found.setdefault(stems[name], set()).add(name)
    return {stem: frozenset(names) for stem, names in found.items()}


def _fold(level: Level, fold: Mapping[str, str]) -> Level:
    figures: dict[Key, int] = {}
    for (measure, name), value in level.figures.items():
        key = (measure, fold.get(name, name))
        figures[key] = figures.get(key, 0) + value
    unknown = frozenset(fold.get(name, name) for name in level.unknown)
    return Level({key: value for key, value in figures.items() if key[1] not in unknown}, unknown, level.right)


def figures_of(
    *, size: int | None, stored: int | None, engine: Mapping[str, object], part: bool
) -> tuple[dict[Key, int], frozenset[str]]:
    """The figures of a backup, out of its row and what its manifest says of the engine; and what was not counted."""
    counts = engine.get("counts")
    counts = counts if isinstance(counts, Mapping) else {}
    figures: dict[Key, int] = {(Measure.ITEM, name): value for name, value in counts.items() if isinstance(value, int)}
    unknown = frozenset(name for name, value in counts.items() if value is None)
    if "objects" not in counts and len(counts) > 1 and not unknown:
        figures[Measure.TOTAL, ""] = sum(figures.values())
    others: dict[Measure, object] = {Measure.SIZE: size, Measure.STORED: stored}
    if part:
        others |= {Measure.STATE: engine.get("state_objects"), Measure.DELETED: engine.get("deleted")}
    figures |= {(measure, ""): value for measure, value in others.items() if isinstance(value, int)}
    return figures, unknown
