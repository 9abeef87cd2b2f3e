"""What makes two buckets hold the same: a digest of each object, and sums of them that fit in a manifest.

An object's digest covers its key, size, SHA-256, content type, headers and user metadata, as a restore writes them.
Objects fall into 256 groups by the first byte of their key's SHA-256; a group is the sum of its digests. So the state
after an incremental is summed from what it read and from the digests in its parent's index, in constant memory.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC
from typing import Any

from databases.engines.s3_bucket.headers import Described, arguments_of
from databases.engines.s3_bucket.tarformat import iso

GROUPS = 256
_BITS = 128
_MODULUS = 1 << _BITS
# What stores say of an object that was written without a type.
_NO_TYPE = frozenset({"binary/octet-stream", "application/octet-stream"})


def key_hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def carried(found: Described) -> str:
    """What an object carries beside its bytes, as a restore writes it, in one spelling."""
    arguments = arguments_of(found)[0]
    if arguments.get("ContentType") in _NO_TYPE:
        del arguments["ContentType"]
    if expires := arguments.get("Expires"):
        arguments["Expires"] = iso(expires if expires.tzinfo else expires.replace(tzinfo=UTC))
    return json.dumps(arguments, sort_keys=True)


def digest(hashed_key: bytes, size: int, sha256: str, carries: str) -> str:
    """128 bits, in hex."""
    text = f"{hashed_key.hex()} {size} {sha256} {carries}"
    return hashlib.sha256(text.encode()).hexdigest()[: _BITS // 4]


class Groups:
    """The sums. `unknown` counts objects whose digest nobody has: those of a chain that began before there were any."""

    def __init__(self) -> None:
        self._sums = [0] * GROUPS
        self.unknown = 0

    def add(self, hashed_key: bytes, object_digest: str) -> None:
        if object_digest:
            group = hashed_key[0]
            self._sums[group] = (self._sums[group] + int(object_digest, 16)) % _MODULUS
        else:
            self.unknown += 1

    def facts(self) -> Mapping[str, Any]:
        return {"groups": [f"{one:0{_BITS // 4}x}" for one in self._sums], "unknown": self.unknown}
