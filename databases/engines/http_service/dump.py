"""A service's records as lines of JSON."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from databases.engines.base import Connection, DumpRequest
from databases.engines.http_service import proof
from databases.engines.http_service.answer import Answer, server_of
from databases.engines.http_service.credentials import credentials_of
from databases.engines.http_service.ending import nothing_leads
from databases.engines.http_service.faults import moment
from databases.engines.http_service.manifest import TAGGED, begun, tag
from databases.engines.http_service.options import HttpOptions, names_in
from databases.engines.http_service.paging import Pages, Tally
from databases.engines.http_service.schema import schemas_of
from databases.engines.http_service.urls import origin_of
from databases.engines.http_service.wire import TOOL_VERSION, Wire
from jobs.egress import resolve
from jobs.errors import BackupError

EXTENSION = ".ndjson"


def preflight(options: HttpOptions, settings: Mapping[str, Any], request: DumpRequest) -> None:
    """No request yet: the dump begins with one. Raises BackupError: unsupported, nothing_matches, egress_refused."""
    require_possible(options, request)
    resolve(*origin_of(options.url)[1:], settings)


def require_possible(options: HttpOptions, request: DumpRequest) -> tuple[str, ...]:
    """The collections to read. Raises BackupError: unsupported, nothing_matches."""
    if request.type not in ("full", "selective", "incremental"):
        raise BackupError(f"Backups of a service cannot be {request.type}.", code="unsupported", permanent=True)
    known = names_in(options.collection)
    if request.type == "incremental":
        _require_watermark(options, request)
    if request.type != "selective":
        return known
    if unknown := [name for name in (*request.include, *request.exclude) if name not in known]:
        raise BackupError(
            f"The service has no collection {unknown[0]!r}.",
            code="nothing_matches",
            permanent=True,
            hint=f"It has {', '.join(known)}.",
        )
    chosen = tuple(name for name in known if name in (request.include or known) and name not in request.exclude)
    if not chosen or not (request.include or request.exclude):
        raise BackupError(
            "A selective backup needs collections to include or exclude, and one that is left.",
            code="nothing_matches",
            permanent=True,
            hint=f"The service has {', '.join(known)}.",
        )
    return chosen


def _require_watermark(options: HttpOptions, request: DumpRequest) -> None:
    if not options.since_param:
        raise BackupError(
            "This service cannot be asked for changes: since_param is not set.",
            code="unsupported",
            permanent=True,
            hint="Set since_param to the parameter that takes a time, or make full backups.",
        )
    if request.parent is None or not request.parent.manifest.get("until"):
        raise BackupError(
            "There is no earlier backup that says from when on changes are missing.",
            code="no_parent",
            permanent=True,
            hint="Make a full backup first.",
        )


class RecordsDump:
    """The running dump; see Dump. It reads where it is read from, and has no thread of its own."""

    def __init__(self, wire: Wire, lines: Iterator[bytes], manifest: Mapping[str, Any], first: bytes | None) -> None:
        self.extension = EXTENSION
        self.bytes_total_estimate: int | None = None
        self.manifest = manifest
        self._wire = wire
        self._lines = lines
        self._waiting = memoryview(first or b"")
        self._ended = first is None
        self._failure: BaseException | None = None

    def abort(self) -> None:
        self._wire.stop()

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """After a failure the same one again: a generator that failed looks like one that ended."""
        if self._failure is not None:
            raise self._failure
        try:
            self._wire.require_going_on()
            return self._filled(memoryview(buffer))
        except BaseException as failure:
            self._failure = failure
            raise

    def _filled(self, view: memoryview) -> int:
        filled = 0
        while filled < len(view):
            if not self._waiting:
                line = None if self._ended else next(self._lines, None)
                if line is None:
                    self._require_complete()
                    self._ended = True
                    break
                self._waiting = memoryview(line)
            count = min(len(self._waiting), len(view) - filled)
            view[filled : filled + count] = self._waiting[:count]
            self._waiting = self._waiting[count:]
            filled += count
        return filled

    def _require_complete(self) -> None:
        """Whoever left the context ended the lines, wherever they were."""
        if "until" not in self.manifest:
            raise BackupError("The dump was left before its end.", code="stopped")


@contextmanager
def dump(
    connection: Connection, options: HttpOptions, settings: Mapping[str, Any], request: DumpRequest
) -> Iterator[RecordsDump]:
    """The first record is there when the context is entered: what is wrong with the service is said before that."""
    collections = require_possible(options, request)
    since = str(request.parent.manifest["until"]) if request.type == "incremental" and request.parent else ""
    wire = Wire(options.url, options, credentials_of(connection, options), settings, request.guard.check)
    take_back = request.guard.on_abort(wire.stop)
    manifest = begun(connection, options, collections, since)
    led = bool(request.parent and request.parent.manifest.get("led"))  # continues() said: by the same way
    lines = _lines(wire, options, request, manifest, Tally(led=led))
    try:
        yield RecordsDump(wire, lines, manifest, next(lines, None))
    finally:
        lines.close()
        take_back()
        wire.close()


def _lines(
    wire: Wire, options: HttpOptions, request: DumpRequest, manifest: dict[str, Any], tally: Tally
) -> Generator[bytes, None, None]:
    began = datetime.now(UTC)
    held = proof.begun(
        tuple(manifest["collections"]), manifest["since"] or "", request.parent.manifest if request.parent else None
    )
    for collection in manifest["collections"]:
        before, after = (tag(collection), b"}\n") if manifest["format"] == TAGGED else (b"", b"\n")
        pages = Pages(wire, options, collection, tally=tally, since=manifest["since"] or "")
        count, total = 0, proof.Sum() if held is None else held[collection]
        for record in pages:
            count += 1
            raw = record.encode()
            total.add(raw)
            yield before + raw + after
        manifest["counts"][collection] = count
        request.guard.log(f"{collection}: records {count}, pages {pages.pages}")
        if (missing := nothing_leads(options)) and not pages.has_lead:
            request.guard.log(f"{collection}: {missing}, so its first page was its last")
    manifest |= {
        "server_version": server_of(tally.first),
        "tool_version": TOOL_VERSION,
        "records": sum(manifest["counts"].values()),
        "pages": tally.pages,
        "led": tally.led,
        "received_bytes": tally.bytes,
        "proof": None if held is None else {name: total.facts() for name, total in held.items()},
        "schema": schemas_of(options.schema),
        "until": _until(tally.first, began),
    }


def _until(first: Answer | None, began: datetime) -> str:
    """The watermark for the next incremental: a moment before the service can have begun to read the first page.

    By the service's own clock, where it says the time: its Date is that of the answer, so what the answer took is
    taken off. Otherwise by ours, when the run began.
    """
    told = moment(first.headers.get("Date", "")) if first else None
    at = told - timedelta(seconds=first.took_s) if first and told else began
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
