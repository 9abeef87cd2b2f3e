"""A bucket as a tar: listed, joined with the parent's index, downloaded ahead, written in order."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import chain as chained
from typing import Any

from databases.engines.base import DumpRequest, Guard
from databases.engines.s3_bucket import places
from databases.engines.s3_bucket.ahead import Ahead
from databases.engines.s3_bucket.changes import Step, chosen, steps
from databases.engines.s3_bucket.client import TOOL_VERSION, Session, call, opened
from databases.engines.s3_bucket.globs import Selection, faults_of_patterns
from databases.engines.s3_bucket.index import IndexReader, head_line
from databases.engines.s3_bucket.listing import Listing
from databases.engines.s3_bucket.members import Chunk, Members
from databases.engines.s3_bucket.options import S3Options
from databases.engines.s3_bucket.tarformat import EXTENSION
from databases.engines.s3_bucket.wire import Wire
from jobs.errors import BackupError


def require_possible(options: S3Options, request: DumpRequest) -> None:
    """Raises BackupError: unsupported, invalid_selection, no_index, and whatever the store refuses."""
    _require_type(request)
    with opened(options) as session:
        probe(session, options)


def _require_type(request: DumpRequest) -> None:
    if request.type not in ("full", "selective", "incremental"):
        raise BackupError(f"Backups of a bucket cannot be {request.type}.", code="unsupported", permanent=True)
    if request.type == "selective" and not (request.include or request.exclude):
        raise BackupError(
            "A selective backup needs keys to include or exclude.", code="nothing_matches", permanent=True
        )
    if fault := faults_of_patterns(request.include) or faults_of_patterns(request.exclude):
        raise BackupError(fault, code="invalid_selection", permanent=True)
    if request.type == "incremental" and (request.parent is None or request.parent.open_index is None):
        raise BackupError(
            "There is no index of an earlier backup to build on.",
            code="no_index",
            permanent=True,
            hint="Make a full backup first.",
        )


def probe(session: Session, options: S3Options) -> dict[str, Any]:
    """One cheap request. It proves that the bucket answers, and boto3 corrects the region by the answer."""
    return dict(
        call(
            session.client.list_objects_v2,
            what=options.bucket,
            Bucket=options.bucket,
            Prefix=options.prefix,
            MaxKeys=1,
        )
    )


class S3Dump:
    """The running dump; see Dump."""

    extension = EXTENSION

    def __init__(self, chunks: Iterator[Chunk], wire: Wire, guard: Guard, members: Members, facts: dict[str, Any]):
        self.bytes_total_estimate: int | None = None
        self._chunks, self._wire, self._guard = chunks, wire, guard
        self._members, self._facts = members, facts
        self._rest = memoryview(b"")
        self._failure: BaseException | None = None
        self._ended = False

    def abort(self) -> None:
        self._wire.stop()

    def readinto(self, buffer: bytearray | memoryview) -> int:
        self._guard.check()
        if self._failure is not None:
            raise self._failure  # a generator that failed would look like one that ended
        try:
            with memoryview(buffer) as wanted:
                return self._fill(wanted)
        except BaseException as error:
            self._failure = error
            self._guard.check()  # a job that was stopped says so itself
            raise

    def _fill(self, wanted: memoryview) -> int:
        done = 0
        while done < len(wanted) and not self._ended:
            if not self._rest:
                following = next(self._chunks, None)
                if following is None:
                    self._end()
                    break
                self._rest = memoryview(following)
            count = min(len(wanted) - done, len(self._rest))
            wanted[done : done + count] = self._rest[:count]
            self._rest = self._rest[count:]
            done += count
        return done

    def _end(self) -> None:
        self._ended = True
        for place, count in self._facts["left_out"].items():
            whose = "a drill has restored them" if place == places.SCRATCH else "a destination of this site stores them"
            self._guard.log(f"{count} objects below {place} are left out: {whose}")
        totals = asdict(self._members.totals)
        unchanged, deleted = totals["state_objects"] - totals["objects"], totals["deleted"]
        told = f"found {totals['state_objects']} objects: {totals['objects']} downloaded, {totals['bytes']} bytes"
        self._guard.log(f"{told}; {unchanged} unchanged, {deleted} deleted" if unchanged or deleted else told)
        counts = {"objects": totals["objects"], **totals.pop("counts")}
        self._facts |= totals | {"counts": counts, "file_count": totals["objects"]}
        self._facts["proof"] = self._members.groups.facts()

    @property
    def manifest(self) -> Mapping[str, Any]:
        return self._facts


@contextmanager
def dump(options: S3Options, request: DumpRequest) -> Iterator[S3Dump]:
    _require_type(request)
    with ExitStack() as stack:
        session = stack.enter_context(opened(options))
        probe(session, options)
        wire = Wire(session, options.bucket)
        stack.callback(wire.close)
        executor = stack.enter_context(ThreadPoolExecutor(options.parallel, thread_name_prefix="s3-read"))
        stack.callback(executor.shutdown, wait=False, cancel_futures=True)
        stack.callback(wire.stop)
        stack.callback(request.guard.on_abort(wire.stop))
        yield _started(options, request, wire, executor, stack)


def _started(
    options: S3Options, request: DumpRequest, wire: Wire, executor: ThreadPoolExecutor, stack: ExitStack
) -> S3Dump:
    selective = request.type == "selective"
    # A request narrows what the Database's own globs leave.
    selections = [Selection(options.include, options.exclude)]
    if selective:
        selections.append(Selection(request.include, request.exclude))
    own = places.OwnPlaces(options, request.leave_out, request.guard.log)
    prefix = options.prefix
    for selection in selections:
        prefix = selection.prefix(prefix)
    listing = Listing(wire, prefix, executor)
    wanted = chosen(listing, selections, own)
    planned, number = steps(wanted), 0
    if request.type == "incremental" and request.parent is not None and request.parent.open_index is not None:
        parent = IndexReader(stack.enter_context(request.parent.open_index()))
        planned, number = steps(wanted, parent), parent.chain + 1
    if selective:
        planned = _not_empty(planned)
    facts = {
        "server_version": listing.first.server or "S3",
        "tool_version": TOOL_VERSION,
        "format": "tar",
        **places.identity(options),
        "type": request.type,
        "chain_length": number,
        "left_out": own.left_out,
    }
    if selective:
        facts["requested"] = {"include": list(request.include), "exclude": list(request.exclude)}
    write_index = request.index if request.index is not None and not selective else _nowhere
    write_index(head_line(number))
    members = Members(
        Ahead(wire, executor, planned, request.guard, options.parallel),
        facts={"type": request.type, "bucket": options.bucket, "prefix": options.prefix},
        at=datetime.now(UTC),
        write_index=write_index,
        log=request.guard.log,
    )
    started = S3Dump(members.chunks(), wire, request.guard, members, facts)
    if request.type == "full" and not listing.first.following:
        whole = chosen(listing.first.objects, selections, places.OwnPlaces(options, request.leave_out, _nothing))
        started.bytes_total_estimate = sum(listed.size for listed in whole)
    return started


def _not_empty(planned: Iterator[Step]) -> Iterator[Step]:
    first = next(planned, None)
    if first is None:
        raise BackupError(
            "No key matches what is to be included.",
            code="nothing_matches",
            permanent=True,
            hint="Globs match whole keys, for example images/2026/**; one star does not cross a slash.",
        )
    return chained([first], planned)


def _nothing(message: str) -> None:
    """Has been said already."""


def _nowhere(line: bytes) -> None:
    """The index of a backup that none can build on."""
