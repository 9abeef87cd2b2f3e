"""The tar, written in order: members, manifests, the summary."""

import hashlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from databases.engines.s3_bucket import index
from databases.engines.s3_bucket.ahead import Ahead, Loading
from databases.engines.s3_bucket.changes import Deleted, Unchanged, Wanted
from databases.engines.s3_bucket.faults import shown
from databases.engines.s3_bucket.fetch import MOST_STARTS, Begun, Changed, Vanished, restless
from databases.engines.s3_bucket.listing import Listed
from databases.engines.s3_bucket.proof import Groups, carried, digest, key_hash
from databases.engines.s3_bucket.tarformat import (
    END,
    MANIFEST,
    SCHEMA_VERSION,
    SUMMARY,
    Facts,
    deleted_line,
    header,
    line,
    manifest_line,
    own_header,
    padding,
)

Chunk = bytes | bytearray | memoryview

_MANIFEST_BYTES = 8 << 20
_MOST_NAMED = 1000
_TOLD_EVERY = 1000
_MOST_LOGGED = 20
_ZEROS = memoryview(bytes(1 << 20))


@dataclass
class Totals:
    """What was written: `objects` and `bytes` are those of this tar, `state` counts all after it."""

    objects: int = 0
    bytes: int = 0
    voided: int = 0
    deleted: int = 0
    state_objects: int = 0
    state_bytes: int = 0
    changed: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


class Members:
    """Goes through the steps once. `facts` are the summary's: type, bucket, prefix."""

    def __init__(
        self,
        ahead: Ahead,
        *,
        facts: dict[str, Any],
        at: datetime,
        write_index: Callable[[bytes], None],
        log: Callable[[str], None],
    ) -> None:
        self.totals = Totals()
        self.groups = Groups()
        self._ahead, self._facts, self._at = ahead, facts, at
        self._write_index, self._log = write_index, log
        self._lines = bytearray()
        self._manifests = 0
        self._base = facts["prefix"][: facts["prefix"].rfind("/") + 1]

    def chunks(self) -> Iterator[Chunk]:
        for loading in self._ahead:
            step = loading.step
            if isinstance(step, Unchanged):
                self._keep(step.entry)
            elif isinstance(step, Deleted):
                self._delete(step.key)
            else:
                yield from self._object(loading, step)
            if len(self._lines) >= _MANIFEST_BYTES:
                yield from self._manifest()
        if self._lines or not self._manifests:
            yield from self._manifest()
        yield from self._own(SUMMARY, self._summary())
        yield END

    def _object(self, loading: Loading, step: Wanted) -> Iterator[Chunk]:
        """One object, and again for as long as it changes while it is read."""
        for _ in range(MOST_STARTS):
            try:
                begun = self._ahead.begun(loading)
            except Vanished:
                self._name(step.listed.key, "vanished while the bucket was read: it is left out")
                if step.known:
                    self._delete(step.listed.key)
                return
            facts, changed = begun[0], begun[2]
            sha256 = yield from self._copy(loading, step, begun)
            if sha256:
                if changed:
                    self._name(step.listed.key, "changed while it was read: read again")
                self._count(facts)
                self._keep(_entry(facts, step.listed, sha256))
                return
            self.totals.voided += 1
            self._name(step.listed.key, "changed while it was read: its first copy is voided")
            yield from self._manifest()
            self._ahead.again(loading)
        raise restless(step.listed.key)

    def _copy(self, loading: Loading, step: Wanted, begun: Begun) -> Generator[Chunk, None, str]:
        """One member. Returns its SHA-256, or nothing when it had to be filled with zeros."""
        facts, view, _ = begun
        whole, done, read = True, 0, hashlib.sha256()
        yield header(step.name, facts)
        while True:
            read.update(view)
            yield view
            done += len(view)
            if done == facts.size:
                break
            view = _ZEROS[: facts.size - done]
            if whole:
                try:
                    view = self._ahead.piece(loading, facts, done)
                except (Changed, Vanished):
                    whole = False
        yield padding(facts.size)
        self._lines += manifest_line(facts, name=step.name, sha256=read.hexdigest(), voided=not whole)
        return read.hexdigest() if whole else ""

    def _keep(self, entry: index.Entry) -> None:
        self.totals.state_objects += 1
        self.totals.state_bytes += entry.size
        self.groups.add(key_hash(entry.key), entry.digest)
        self._write_index(index.entry_line(entry))

    def _delete(self, key: str) -> None:
        self.totals.deleted += 1
        self._lines += deleted_line(key)

    def _count(self, facts: Facts) -> None:
        totals = self.totals
        totals.objects += 1
        totals.bytes += facts.size
        if totals.objects % _TOLD_EVERY == 0:
            self._log(f"{totals.objects} objects downloaded, {totals.bytes} bytes")
        name = top_level(facts.key, self._base)
        if name and (name in totals.counts or len(totals.counts) < _MOST_NAMED):
            totals.counts[name] = totals.counts.get(name, 0) + 1

    def _name(self, key: str, what: str) -> None:
        changed = self.totals.changed
        if key in changed[-1:]:
            return
        if len(changed) < _MOST_LOGGED:
            self._log(f"{shown(key)} {what}")
        if len(changed) < _MOST_NAMED:
            changed.append(key)

    def _manifest(self) -> Iterator[Chunk]:
        self._manifests += 1
        lines, self._lines = bytes(self._lines), bytearray()
        yield from self._own(MANIFEST.format(self._manifests), lines)

    def _own(self, name: str, content: bytes) -> Iterator[Chunk]:
        yield own_header(name, len(content), self._at)
        yield content
        yield padding(len(content))

    def _summary(self) -> bytes:
        totals = self.totals
        return line(
            {
                "schema_version": SCHEMA_VERSION,
                **self._facts,
                "objects": totals.objects,
                "bytes": totals.bytes,
                "voided": totals.voided,
                "deleted": totals.deleted,
                "manifests": self._manifests,
                "changed": totals.changed,
            }
        )


def top_level(key: str, base: str) -> str:
    """`images/` for `images/2026/a.jpg`, below `base`; empty for a key without a slash there."""
    first, slash, _ = key[len(base) :].partition("/")
    return base + first + slash if slash else ""


def _entry(facts: Facts, listed: Listed, sha256: str) -> index.Entry:
    """The listing's time, which may be finer than the header's, so that the next listing compares equal; where the
    object is another by now the header's, and the next backup takes it once more."""
    same = (facts.etag, facts.size) == (listed.etag, listed.size)
    modified = listed.last_modified if same else facts.last_modified
    proven = digest(key_hash(facts.key), facts.size, sha256, carried(facts))
    return index.Entry(facts.key, facts.size, facts.etag, modified, facts.version_id, proven)
