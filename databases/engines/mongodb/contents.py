"""What a backup holds, told so that another server can be compared with it: facts of the archive, for the manifest.

Everything is taken from the archive in flight, so it is of the very documents that were stored. `crc64` is the
archive's own checksum of all documents of a collection in their order, which a restore keeps.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from bson import json_util
from bson.errors import BSONError

from databases.engines.mongodb.archive import Archive, Member

LONGEST = 1000  # characters of a definition; of a longer one its digest is kept
# What a server adds by itself, as its version has it.
_INDEX_NOISE = frozenset({"v", "ns", "background", "textIndexVersion", "2dsphereIndexVersion"})
_OPTION_NOISE = frozenset({"autoIndexId", "flags"})


def contents_of(archive: Archive) -> dict[str, dict[str, Any]]:
    """By name of collection: `type`, `options`, `indexes` (definitions by name), and but for views `documents` and
    `crc64`. Call it after the archive's end."""
    counts, checksums = archive.counts(), archive.checksums()
    found: dict[str, dict[str, Any]] = {}
    for member in archive.members or ():
        if member.database:
            facts: dict[str, Any] = {"type": member.type, **_definitions(member)}
            if member.type != "view":
                facts |= {"documents": counts[member.namespace], "crc64": checksums[member.namespace]}
            found[member.namespace] = facts
    return found


def _definitions(member: Member) -> dict[str, Any]:
    """Nothing where they cannot be read: mongorestore is the one to judge them."""
    try:
        metadata = json_util.loads(member.metadata or "{}")
        options, indexes = metadata.get("options") or {}, metadata.get("indexes") or []
        return {"options": options_of(options), "indexes": indexes_of(indexes)}
    except (ValueError, TypeError, AttributeError, KeyError, BSONError):
        return {}


def options_of(options: Mapping[str, Any]) -> dict[str, str]:
    return {name: definition(value) for name, value in options.items() if name not in _OPTION_NOISE}


def indexes_of(indexes: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    return {
        str(one["name"]): definition(
            {
                **{name: value for name, value in one.items() if name not in _INDEX_NOISE},
                "key": list(one["key"].items()),  # whose order counts
            }
        )
        for one in indexes
    }


def definition(value: Any) -> str:
    """One spelling of it: sorted names, numbers as they are written, whatever their type."""
    text = json.dumps(_plain(value), sort_keys=True, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return json_util.dumps(value)
