"""Posting records back to a service."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from typing import Any
from uuid import uuid4

from databases.engines.base import Connection, RestoreReport, RestoreRequest, Source
from databases.engines.http_service.credentials import credentials_of
from databases.engines.http_service.faults import Refused
from databases.engines.http_service.lines import Lines
from databases.engines.http_service.options import HttpOptions
from databases.engines.http_service.paging import Pages, Tally
from databases.engines.http_service.patience import patiently
from databases.engines.http_service.urls import PLACEHOLDER, fill
from databases.engines.http_service.wire import TOOL_VERSION, Request, Wire
from jobs.errors import BackupError

LARGEST_BATCH = 8 << 20  # bytes; a larger record is posted alone


def restore(
    connection: Connection,
    options: HttpOptions,
    settings: Mapping[str, Any],
    chain: Sequence[Source],
    request: RestoreRequest,
) -> RestoreReport:
    """Posts every record of the chain, oldest backup first, as JSON arrays to `restore_url`.

    The service adds or replaces by its own keys: nothing is deleted, `drop_existing` only allows a target that holds
    records. A service has no transactions: what was posted before a failure stays. The last batch of each backup is
    held back until the artefact's end is verified. Raises BackupError: unsupported, nothing_matches, target_not_empty.
    """
    wanted = _wanted(options, chain, request)
    counts = dict.fromkeys(wanted, 0)
    credentials = credentials_of(connection, options)
    with ExitStack() as stack:

        def wire_to(url: str) -> Wire:
            wire = Wire(url, options, credentials, settings, request.guard.check)
            stack.callback(wire.close)
            stack.callback(request.guard.on_abort(wire.stop))
            return wire

        if not request.drop_existing:
            _require_empty(wire_to(options.url), options, wanted)
        wire = wire_to(options.restore_url)
        for source in chain:
            lines = Lines(source, source.manifest, request.guard.check)
            for collection, batch in _batches(lines, options, wanted):
                _post(wire, fill(options.restore_url, collection), batch)
                counts[collection] += len(batch)
    notes = ("The service adds and replaces by its own keys: records that the backup does not hold stayed.",)
    return RestoreReport(tool_version=TOOL_VERSION, counts=counts, notes=notes)


def _wanted(options: HttpOptions, chain: Sequence[Source], request: RestoreRequest) -> tuple[str, ...]:
    if not options.restore_url:
        raise BackupError(
            "The target has no restore_url: nothing says where records are posted to.",
            code="unsupported",
            permanent=True,
            hint="Set restore_url of the target, or read the archive by hand.",
        )
    held = dict.fromkeys(name for source in chain for name in source.manifest.get("collections", ()))
    if unknown := [name for name in request.include if name not in held]:
        raise BackupError(
            f"The backup has no collection {unknown[0]!r}.",
            code="nothing_matches",
            permanent=True,
            hint=f"It has {', '.join(held)}.",
        )
    wanted = tuple(name for name in held if name in (request.include or held))
    if len(wanted) > 1 and PLACEHOLDER not in options.restore_url:
        raise BackupError(
            f"The backup has several collections, and the target's restore_url is without {PLACEHOLDER}.",
            code="unsupported",
            permanent=True,
            hint=f"Put {PLACEHOLDER} into restore_url, or restore one collection.",
        )
    return wanted


def _require_empty(wire: Wire, options: HttpOptions, wanted: tuple[str, ...]) -> None:
    """By the first record that the target's own URL gives; a collection it does not know is empty."""
    for collection in wanted:
        try:
            with closing(iter(Pages(wire, options, collection, tally=Tally()))) as records:
                found = next(records, None)
        except Refused as error:
            if error.code != "not_found":
                raise
            continue
        if found is not None:
            raise BackupError(
                f"The target holds records in {collection}.",
                code="target_not_empty",
                permanent=True,
                hint="Restore into an empty service, or confirm with drop_existing that records may be replaced.",
            )


Batch = list[bytes]


def _batches(lines: Lines, options: HttpOptions, wanted: tuple[str, ...]) -> Iterator[tuple[str, Batch]]:
    """A full one only when there is a further record, the last one only when the artefact's end is verified."""
    batch: Batch = []
    size, current = 0, ""
    for collection, record in lines:
        if collection not in wanted:
            continue
        full = len(batch) >= options.restore_batch or size + len(record) > LARGEST_BATCH
        if batch and (full or collection != current):
            yield current, batch
            batch, size = [], 0
        current = collection
        batch.append(record)
        size += len(record)
    if batch:
        yield current, batch


def _post(wire: Wire, url: str, batch: Batch) -> None:
    """The same key for every attempt, so that a service that heeds it takes a batch once."""
    body = b"[" + b",".join(batch) + b"]"
    request = Request(url, "POST", body, {"Idempotency-Key": str(uuid4())})

    def attempt() -> None:
        with wire.ask(request) as answer:
            answer.drain()

    patiently(wire, attempt)
