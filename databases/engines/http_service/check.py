"""Can this service be backed up, and what would a backup hold?"""

import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import replace
from typing import Any

from databases.engines.base import CheckReport, Connection, Inventory, InventoryItem
from databases.engines.http_service.answer import server_of
from databases.engines.http_service.credentials import credentials_of
from databases.engines.http_service.ending import nothing_leads
from databases.engines.http_service.options import HttpOptions, names_in
from databases.engines.http_service.paging import Pages, Tally
from databases.engines.http_service.urls import origin_of
from databases.engines.http_service.wire import TOOL_VERSION, Wire
from jobs.errors import BackupError

MOST_S = 20.0  # somebody waits for the answer
MOST_BYTES = 32 << 20


class _Enough(Exception):
    """More than is read for a look."""


def check(connection: Connection, options: HttpOptions, settings: Mapping[str, Any]) -> CheckReport:
    """By the first record of each collection; with pages, by the first page."""
    began, tally, latency, warnings = time.monotonic(), Tally(), None, _clear_text(options)
    try:
        with closing(_wire(connection, options, settings)) as wire:
            for collection in names_in(options.collection):
                warnings += _first_page(Pages(wire, options, collection, tally=tally), options, collection)
                latency = latency or round(1000 * (time.monotonic() - began), 1)
            return CheckReport(
                ok=True,
                latency_ms=latency,
                server_version=server_of(tally.first),
                tool_version=TOOL_VERSION,
                warnings=tuple(warnings),
            )
    except BackupError as error:
        return CheckReport(ok=False, error=error.message, code=error.code, hint=error.hint, tool_version=TOOL_VERSION)


def _first_page(pages: Pages, options: HttpOptions, collection: str) -> list[str]:
    found = 0
    with closing(iter(pages)) as records, suppress(_Enough):
        for _ in records:
            found += 1
            if options.pagination == "none" or pages.pages:
                break
    if not found and not pages.complete:
        raise BackupError(
            f"{collection}: no record came within {MOST_S:.0f} s.", code="timeout", hint="See what the service does."
        )
    if not found:
        return [f"{collection} has no record: a backup would be empty."]
    if (missing := nothing_leads(options)) and pages.complete and not pages.has_lead:
        return [f"{collection}: {missing}; a second page would not be found."]
    return []


def inventory(connection: Connection, options: HttpOptions, settings: Mapping[str, Any]) -> Inventory:
    """Counted, where all is read within seconds; otherwise as the service says (X-Total-Count). Raises BackupError."""
    tally, items, whole = Tally(), [], True
    with closing(_wire(connection, options, settings)) as wire:
        for collection in names_in(options.collection):
            before, count = tally.bytes, 0
            pages = Pages(wire, options, collection, tally=tally)
            with closing(iter(pages)) as records, suppress(_Enough):
                for _ in records:
                    count += 1
                    if tally.bytes > MOST_BYTES:
                        break
            whole = whole and pages.complete
            rows = count if pages.complete else pages.total
            size = tally.bytes - before if pages.complete else None
            items.append(InventoryItem(collection, "collection", rows=rows, size=size))
    return Inventory(tuple(items), tally.bytes if whole else None)


def _wire(connection: Connection, options: HttpOptions, settings: Mapping[str, Any]) -> Wire:
    """It does not try again, and waits as long as somebody who looks at a page may."""
    end = time.monotonic() + MOST_S

    def check() -> None:
        if time.monotonic() > end:
            raise _Enough

    hasty = replace(options, timeout_s=min(options.timeout_s, max(1, int(MOST_S / 2))))
    return Wire(options.url, hasty, credentials_of(connection, options), settings, check, patient=False)


def _clear_text(options: HttpOptions) -> list[str]:
    host = origin_of(options.url)[1]
    near = host == "localhost" or host == "::1" or host.startswith("127.")
    if near or not options.url.lower().startswith("http://") or not (options.auth != "none" or options.headers):
        return []
    return ["Credentials travel unencrypted: use https://."]
