"""Is a plain stream one whole archive? Cheap, while it flows."""

from collections.abc import Mapping
from typing import Any

from databases.engines.mongodb.archive import Archive, damaged
from databases.engines.mongodb.contents import contents_of


class MongoStructure:
    """Every collection whole, with the checksum of its documents (archive.py). The documents are not looked into.

    With a manifest its counts have to be the archive's; without one, in flight, the facts say what a drill compares.
    """

    def __init__(self, manifest: Mapping[str, Any] | None = None, archive: Archive | None = None) -> None:
        self._archive = archive or Archive()
        self._manifest = manifest or {}

    def feed(self, block: memoryview) -> None:
        self._archive.feed(block)

    def finish(self) -> Mapping[str, Any]:
        self._archive.finish()
        counts = self._archive.counts()
        # mongodump counts no documents of a view; one made as the dump began is not known as such to the manifest.
        held = dict.fromkeys((one.namespace for one in self._archive.members or () if one.type == "view"), 0) | counts
        for name, number in self._manifest.get("counts", {}).items():
            if number is not None and held.get(name) != number:
                raise damaged(f"The archive holds {held.get(name, 'no')} documents of {name}, its manifest {number}.")
        facts: dict[str, Any] = {} if self._manifest else {"contents": contents_of(self._archive)}
        return facts | {
            "format": "archive",
            "length": self._archive.length,
            "collections": len(self._archive.members or ()),
            "documents": sum(counts.values()),
        }
