"""What makes two sets of records the same: how many there are, and the sum of their digests, in any order."""

import hashlib
from collections.abc import Mapping
from typing import Any

_BITS = 128
_MODULUS = 1 << _BITS


class Sum:
    """Of the records of one collection, each by its exact bytes."""

    def __init__(self, facts: Mapping[str, Any] | None = None) -> None:
        self.records: int = facts["records"] if facts else 0
        self._sum = int(facts["digest"], 16) if facts else 0

    def add(self, record: bytes) -> None:
        self.records += 1
        self._sum = (self._sum + int.from_bytes(hashlib.sha256(record).digest()[: _BITS // 8])) % _MODULUS

    def facts(self) -> dict[str, Any]:
        return {"records": self.records, "digest": f"{self._sum:0{_BITS // 4}x}"}


def begun(collections: tuple[str, ...], since: str, parent: Mapping[str, Any] | None) -> dict[str, Sum] | None:
    """What a backup adds its records to: of an incremental all that its chain holds, for a restore posts all of it.

    None where the parent is of an older version.
    """
    if not since:
        return {name: Sum() for name in collections}
    held = (parent or {}).get("proof")
    return None if held is None else {name: Sum(held.get(name)) for name in collections}
