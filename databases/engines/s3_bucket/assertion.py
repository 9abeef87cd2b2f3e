"""An operator's own questions to a restored backup: is this object there, how many are below that prefix?"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from databases.engines.base import Guard
from databases.engines.proof import unanswerable
from databases.engines.s3_bucket.client import call, connected
from databases.engines.s3_bucket.keys import LONG, Keys
from databases.engines.s3_bucket.options import S3Options
from databases.engines.s3_bucket.query import fault_of
from databases.engines.s3_bucket.scratch import Scratch

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


def evaluate(options: S3Options, scratch: Scratch | None, query: Any, guard: Guard) -> bool | int:
    """Keys are the backup's own. Raises BackupError(code="assertion")."""
    if fault := fault_of(query):
        raise unanswerable(fault)
    keys = Keys(options.prefix, scratch.source_prefix if scratch else options.prefix)
    with connected(options) as client:
        if "key" in query:
            _require_below(query["key"], keys.source_prefix)
            key = keys.here(query["key"])
            return next(_listed(client, options.bucket, key, guard), None) == key
        asked = query["prefix"]
        if not keys.source_prefix.startswith(asked):
            _require_below(asked, keys.source_prefix)
        below = keys.prefix + asked.removeprefix(keys.source_prefix) if asked.startswith(keys.source_prefix) else ""
        found = _listed(client, options.bucket, below or keys.prefix, guard)
        number = sum(not keys.is_shortened(key) for key in found)
        if scratch is None:
            return number
        long_ones = _listed(client, options.bucket, keys.prefix + LONG, guard)
        written = (scratch.record.find(keys.hash_of(key)) for key in long_ones if keys.is_shortened(key))
        return number + sum(one is not None and one.key.startswith(asked) for one in written)


def _listed(client: "S3Client", bucket: str, prefix: str, guard: Guard) -> Iterator[str]:
    parameters: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix}
    while True:
        guard.check()
        page = call(client.list_objects_v2, what=bucket, **parameters)
        yield from (entry["Key"] for entry in page.get("Contents", ()))
        if not page.get("IsTruncated"):
            return
        parameters["ContinuationToken"] = page["NextContinuationToken"]


def _require_below(name: str, prefix: str) -> None:
    if not name.startswith(prefix):
        raise unanswerable(f"The backup holds only keys that begin with {prefix}.")
