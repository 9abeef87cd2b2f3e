"""What a dump has to do, in the order of the keys: the listing joined with the parent's index, both flat in memory."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from databases.engines.s3_bucket.globs import Selection
from databases.engines.s3_bucket.index import Entry
from databases.engines.s3_bucket.listing import Listed
from databases.engines.s3_bucket.places import OwnPlaces
from databases.engines.s3_bucket.tarformat import Names


@dataclass(frozen=True, slots=True)
class Wanted:
    """An object to read, and the name of its member. `known` is whether the parents hold one of that key."""

    listed: Listed
    name: str
    known: bool = False


@dataclass(frozen=True, slots=True)
class Unchanged:
    entry: Entry


@dataclass(frozen=True, slots=True)
class Deleted:
    key: str


Step = Wanted | Unchanged | Deleted


def chosen(listing: Iterable[Listed], selections: Iterable[Selection], own: OwnPlaces) -> Iterator[Listed]:
    """What every selection wants, without what the site's own Destinations hold."""
    wanted = [selection.matches for selection in selections]
    return (
        listed for listed in listing if all(matches(listed.key) for matches in wanted) and not own.holds(listed.key)
    )


def steps(listing: Iterable[Listed], index: Iterable[Entry] = ()) -> Iterator[Step]:
    """`index` is what the parents hold: none for a full backup."""
    names, entries = Names(), iter(index)
    entry = next(entries, None)
    for listed in listing:
        while entry is not None and entry.key < listed.key:
            yield Deleted(entry.key)
            entry = next(entries, None)
        name = names.name_of(listed.key)
        if entry is None or entry.key != listed.key:
            yield Wanted(listed, name)
            continue
        same = (entry.etag, entry.size, entry.last_modified) == (listed.etag, listed.size, listed.last_modified)
        yield Unchanged(entry) if same else Wanted(listed, name, known=True)
        entry = next(entries, None)
    while entry is not None:
        yield Deleted(entry.key)
        entry = next(entries, None)
