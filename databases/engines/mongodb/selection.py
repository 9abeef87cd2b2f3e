"""Which collections a dump or a restore takes, and how mongodump is told so.

A name is `collection` or `database.collection`, with `*` for any text and `?` for any character. mongodump itself
takes one collection by its exact name, or one database without some: so several are all the others left out by name.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from databases.engines.base import DumpRequest
from databases.engines.mongodb.catalog import Collection
from databases.engines.mongodb.options import MongoOptions
from jobs.errors import BackupError

SHOWN = 5


@dataclass(frozen=True)
class Selection:
    """Empty `include`: everything that `exclude` does not name."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        return not (self.include or self.exclude)


def selection_of(options: MongoOptions, request: DumpRequest) -> Selection:
    """A request's names narrow further than the Database's: they take the place of its `include_collections`."""
    selective = request.type == "selective"
    return Selection(
        include=(request.include if selective else ()) or options.include_collections,
        exclude=options.exclude_collections + (request.exclude if selective else ()),
    )


def matches(pattern: str, database: str, name: str) -> bool:
    parts = {"*": ".*", "?": "."}
    expression = re.compile("".join(parts.get(char) or re.escape(char) for char in pattern), re.DOTALL)
    return any(expression.fullmatch(text) for text in (name, f"{database}.{name}"))


def chosen(collections: Sequence[Collection], selection: Selection) -> list[Collection]:
    """Raises BackupError(code="nothing_matches") for a name that matches nothing, or when nothing is left."""
    for pattern in selection.include:
        if not any(matches(pattern, one.database, one.name) for one in collections):
            raise BackupError(
                f"No collection matches {pattern!r}.",
                code="nothing_matches",
                permanent=True,
                hint=f"There is {_some(collections)}." if collections else "There is no collection.",
            )
    kept = [one for one in collections if _is_chosen(one, selection)]
    if not kept:
        raise BackupError(
            "No collection is left to take.",
            code="nothing_matches",
            permanent=True,
            hint="Check the names to include and to exclude.",
        )
    return kept


def _is_chosen(one: Collection, selection: Selection) -> bool:
    included = not selection.include or any(matches(text, one.database, one.name) for text in selection.include)
    return included and not any(matches(text, one.database, one.name) for text in selection.exclude)


def _some(collections: Sequence[Collection]) -> str:
    names = [one.namespace for one in collections[:SHOWN]]
    return ", ".join(names) + (", ..." if len(collections) > SHOWN else "")


def arguments(
    database: str, collections: Sequence[Collection], kept: Sequence[Collection], selection: Selection
) -> list[list[str]]:
    """mongodump's arguments, a list for each time that it has to run: once, or once for each database.

    What is created after `collections` were listed comes along, unless one collection alone is taken of its database.
    """
    if len(kept) == len(collections):
        return [[f"--db={database}"] if database else []]
    runs = []
    for name, group in groupby(kept, key=lambda one: one.database):
        wanted = {one.name for one in group}
        if selection.include and len(wanted) == 1:
            runs.append([f"--db={name}", f"--collection={next(iter(wanted))}"])
        else:
            others = [one.name for one in collections if one.database == name and one.name not in wanted]
            runs.append([f"--db={name}", *(f"--excludeCollection={other}" for other in others)])
    return runs
