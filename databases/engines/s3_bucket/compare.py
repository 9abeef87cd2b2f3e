"""What a bucket holds, read again to the last byte, against the manifest of a backup."""

import hashlib
import json
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from databases.engines.base import Guard
from databases.engines.findings import Findings
from databases.engines.proof import Comparison
from databases.engines.s3_bucket.client import opened
from databases.engines.s3_bucket.fetch import PIECE, Vanished, begin, buffer_of, rest
from databases.engines.s3_bucket.keys import Keys
from databases.engines.s3_bucket.listing import Listed, Listing
from databases.engines.s3_bucket.options import S3Options
from databases.engines.s3_bucket.proof import Groups, carried, digest
from databases.engines.s3_bucket.record import Record, Written
from databases.engines.s3_bucket.scratch import Scratch
from databases.engines.s3_bucket.tarformat import Facts
from databases.engines.s3_bucket.wire import Wire

MOST_PARALLEL = 8  # each may hold 8 MiB
AHEAD = 4  # of what is being read, for each connection

OLD_MANIFEST = "The manifest is of an older version: objects were counted, and compared with the archive alone."
UNKNOWN = "{count} objects come from a backup of an older version: they were compared with the archive alone."

Read = tuple[Listed, "Future[tuple[Facts, str] | None]"]


def compare(options: S3Options, scratch: Scratch | None, manifest: Mapping[str, Any], guard: Guard) -> Comparison:
    """Without `scratch`, which knows what was written, a difference is a group of keys and not a key."""
    findings, groups = Findings(), Groups()
    keys = Keys(options.prefix, scratch.source_prefix if scratch else str(manifest.get("prefix", "")))
    with ExitStack() as stack:
        session = stack.enter_context(opened(options))
        wire = Wire(session, options.bucket)
        stack.callback(wire.close)
        pool = stack.enter_context(
            ThreadPoolExecutor(min(options.parallel, MOST_PARALLEL), thread_name_prefix="s3-compare")
        )
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        stack.callback(wire.stop)
        stack.callback(guard.on_abort(wire.stop))
        listing = Listing(wire, options.prefix, pool)
        found = 0
        for listed, read in _ahead(wire, listing, pool, guard):
            if read is None:
                continue
            found += 1
            hashed, (facts, sha256) = keys.hash_of(listed.key), read
            carries = carried(facts)
            groups.add(hashed, digest(hashed, facts.size, sha256, carries))
            if scratch:
                seen = Written(keys.source_of(listed.key), facts.size, sha256, carries)
                _compare_object(findings, scratch.record, hashed, seen)
        server = listing.first.server or "S3"
    if scratch:
        _name_lost(findings, scratch.record)
        groups = scratch.record.groups()
    expected = manifest.get("state_objects")
    if expected is not None:
        findings.compare("objects", options.bucket, expected, found)
    _compare_groups(findings, manifest.get("proof"), groups)
    return findings.comparison(server_version=server)


def _ahead(
    wire: Wire, listing: Listing, pool: ThreadPoolExecutor, guard: Guard
) -> Iterator[tuple[Listed, tuple[Facts, str] | None]]:
    running: deque[Read] = deque()
    try:
        for listed in listing:
            running.append((listed, pool.submit(_read, wire, listed)))
            if len(running) >= MOST_PARALLEL * AHEAD:
                guard.check()
                first, future = running.popleft()
                yield first, future.result()
        while running:
            guard.check()
            first, future = running.popleft()
            yield first, future.result()
    except BaseException:
        guard.check()  # a job that was stopped says so itself
        raise


def _read(wire: Wire, listed: Listed) -> tuple[Facts, str] | None:
    """What the object is, and the SHA-256 of its bytes; None where it has gone meanwhile."""
    try:
        facts, view, _ = begin(wire, listed.key, listed.size)
        found, done = hashlib.sha256(view), len(view)
        while done < facts.size:
            view = buffer_of(min(PIECE, facts.size - done))
            rest(wire, facts, done, view)
            found.update(view)
            done += len(view)
    except Vanished:
        return None
    return facts, found.hexdigest()


def _compare_object(findings: Findings, record: Record, hashed: bytes, found: Written) -> None:
    expected = record.find(hashed)
    if expected is None:
        findings.compare("object", found.key, None, "there")
        return
    record.mark_found(hashed)
    findings.compare("object", expected.key, "there", "there")
    if findings.compare("content", expected.key, _content(expected), _content(found)):
        findings.compare("metadata", expected.key, json.loads(expected.carries), json.loads(found.carries))


def _content(one: Written) -> dict[str, Any]:
    return {"size": one.size, "sha256": one.sha256}


def _name_lost(findings: Findings, record: Record) -> None:
    for lost in record.lost():
        findings.compare("object", lost.key, "there", None)
    record.forget_found()


def _compare_groups(findings: Findings, expected: Mapping[str, Any] | None, found: Groups) -> None:
    if expected is None:
        findings.note(OLD_MANIFEST)
        return
    if expected.get("unknown"):
        findings.note(UNKNOWN.format(count=expected["unknown"]))
        return
    for number, (one, other) in enumerate(zip(expected["groups"], found.facts()["groups"], strict=True)):
        name = f"keys whose SHA-256 begins with {number:02x}"
        findings.compare("group", name, one, other)
