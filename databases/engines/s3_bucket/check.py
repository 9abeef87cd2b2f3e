"""Can this bucket be backed up, and what would a backup hold?"""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from databases.engines.base import CheckReport, Inventory, InventoryItem
from databases.engines.s3_bucket.client import TOOL_VERSION, Session, call, opened
from databases.engines.s3_bucket.dump import probe
from databases.engines.s3_bucket.faults import shown
from databases.engines.s3_bucket.globs import Selection
from databases.engines.s3_bucket.listing import PAGE, Listing
from databases.engines.s3_bucket.members import top_level
from databases.engines.s3_bucket.options import S3Options
from databases.engines.s3_bucket.wire import Wire
from jobs.errors import BackupError

MOST_LISTED = 500 * PAGE
MOST_ITEMS = 1000
TOP = "(without a folder)"
_ARCHIVED = ("GLACIER", "DEEP_ARCHIVE")


def check(options: S3Options) -> CheckReport:
    try:
        with opened(options) as session:
            began = time.monotonic()
            answer = probe(session, options)
            latency = round(1000 * (time.monotonic() - began), 1)
            server = answer["ResponseMetadata"]["HTTPHeaders"].get("server") or "S3"
            return CheckReport(
                ok=True,
                latency_ms=latency,
                server_version=server,
                tool_version=TOOL_VERSION,
                warnings=tuple(_warnings(session, options)),
            )
    except BackupError as error:
        return CheckReport(ok=False, error=error.message, code=error.code, hint=error.hint, tool_version=TOOL_VERSION)


def _warnings(session: Session, options: S3Options) -> list[str]:
    """By the first page of the listing, and one object of it that is read. Raises BackupError(code="permission")."""
    page = call(session.client.list_objects_v2, what=options.bucket, Bucket=options.bucket, Prefix=options.prefix)
    selection = Selection(options.include, options.exclude)
    found: list[Any] = [entry for entry in page.get("Contents", ()) if selection.matches(entry["Key"])]
    if not found:
        return [] if page.get("IsTruncated") else ["No object is there: a backup would be empty."]
    warnings = []
    archived = [entry for entry in found if entry.get("StorageClass") in _ARCHIVED]
    if archived:
        warnings.append(
            f"{shown(archived[0]['Key'])} is archived ({archived[0].get('StorageClass')}): a backup fails until it is "
            "restored in the bucket, or left out with `exclude`."
        )
    readable = next((entry for entry in found if entry not in archived), None)
    if readable is not None:
        warnings += _unreadable(session, options, readable["Key"])
    return warnings


def _unreadable(session: Session, options: S3Options, key: str) -> list[str]:
    try:
        answer = call(session.client.get_object, what=shown(key), Bucket=options.bucket, Key=key)
        answer["Body"].close()
    except BackupError as error:
        if error.code == "object_missing":
            return []
        if error.code == "permission":
            raise
        return [f"An object cannot be read, a backup would fail: {error}"]
    return []


def inventory(options: S3Options) -> Inventory:
    """Objects and bytes for each folder at the top. Of a very large bucket only the first 500,000 are listed."""
    selection = Selection(options.include, options.exclude)
    base = options.prefix[: options.prefix.rfind("/") + 1]
    found: dict[str, list[int]] = {}
    listed = 0
    with ExitStack() as stack:
        session = stack.enter_context(opened(options))
        probe(session, options)
        wire = Wire(session, options.bucket)
        stack.callback(wire.close)
        executor = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="s3-list"))
        stack.callback(wire.stop)
        for entry in Listing(wire, selection.prefix(options.prefix), executor):
            if listed == MOST_LISTED:
                break
            listed += 1
            if selection.matches(entry.key):
                name = top_level(entry.key, base) or TOP
                tally = found.setdefault(name if name in found or len(found) < MOST_ITEMS else "...", [0, 0])
                tally[0] += 1
                tally[1] += entry.size
    items = tuple(InventoryItem(name, "prefix", rows=rows, size=size) for name, (rows, size) in found.items())
    if listed == MOST_LISTED:
        return Inventory((*items, InventoryItem("...", "not listed")))
    return Inventory(items, sum(size for _, size in found.values()))
