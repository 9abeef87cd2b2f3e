"""Has a collection really ended? What a service tells of further records is held against what came."""

import re

from databases.engines.http_service.answer import Answer
from databases.engines.http_service.faults import Refused
from databases.engines.http_service.options import HttpOptions
from databases.engines.http_service.page import Page
from jobs.errors import BackupError

_LINK = re.compile(r'<([^>]*)>((?:\s*;\s*[^\s=;,]+\s*(?:=\s*(?:"(?:[^"\\]|\\.)*"|[^";,]*))?)*)\s*(?:,|$)')
_REL = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^";,\s]*))', re.IGNORECASE)
_MOST_DIGITS = 18


def next_link(headers: list[str]) -> str:
    """The address with the relation `next` in Link headers, empty when there is none. RFC 8288."""
    for found in _LINK.finditer(", ".join(headers)):
        relation = _REL.search(found[2])
        if relation and "next" in (relation[1] or relation[2] or "").lower().split():
            return found[1].strip()
    return ""


def total_of(answer: Answer) -> int | None:
    """How many records there are in all, as the service tells with X-Total-Count."""
    told = answer.headers.get("X-Total-Count", "").strip()
    return int(told) if told.isascii() and told.isdigit() and len(told) <= _MOST_DIGITS else None


def leads(answer: Answer, page: Page, options: HttpOptions) -> bool:
    """Whether the answer says anything of a next page, be it that there is none."""
    return page.has_cursor if options.cursor_path else bool(answer.links)


def nothing_leads(options: HttpOptions) -> str:
    """In words, for services none of whose answers did; empty where nothing has to."""
    if options.pagination not in ("cursor", "link"):
        return ""
    return f"nothing is at {options.cursor_path}" if options.cursor_path else "no answer has a Link header"


def require_no_link(answer: Answer) -> None:
    """Raises BackupError(code="more_pages")."""
    if next_link(answer.links):
        raise BackupError(
            f"{answer.what}: the service has a further page (Link, rel=next), which would not be read.",
            code="more_pages",
            permanent=True,
            hint="Set pagination: link follows these addresses.",
        )


def require_place(answer: Answer, page: Page, options: HttpOptions) -> None:
    """The object that cursor_path leads to. Raises BackupError(code="cursor_missing")."""
    if options.cursor_path and not page.has_place:
        raise BackupError(
            f"{answer.what}: the answer has no object that could hold {options.cursor_path}.",
            code="cursor_missing",
            permanent=True,
            hint="Correct cursor_path: the names of the objects on the way to the next cursor, for example meta.next.",
        )


def require_last(answer: Answer, options: HttpOptions, *, in_doubt: bool) -> None:
    """Of an answer that leads to no other; `in_doubt` when it has as many records as were asked for, and no answer ever
    led to another. Raises BackupError: more_pages, cursor_missing, link_missing."""
    if options.cursor_path:
        require_no_link(answer)
    if in_doubt:
        raise BackupError(
            f"{answer.what}: the first page is full, and {nothing_leads(options)}: there may be more records.",
            code="cursor_missing" if options.cursor_path else "link_missing",
            permanent=True,
            hint="Check pagination and cursor_path. If the collection holds exactly page_size records, and the service "
            "says nothing on its last page, set another page_size.",
        )


def require_told(collection: str, count: int, total: int | None) -> None:
    """Raises BackupError(code="incomplete_collection")."""
    if total is not None and count < total:
        raise BackupError(
            f"{collection}: {count} records came, and the service told {total} (X-Total-Count).",
            code="incomplete_collection",
            hint="Either records were deleted while they were read, or pagination does not fit the service's pages.",
        )


def gone(error: Refused) -> BackupError:
    """A 404 behind the first page: it may be the end, or a gateway's word for a service that is away."""
    return BackupError(
        error.message,
        code=error.code,
        permanent=error.permanent,
        hint="Numbered pages end with an empty one. Where the service answers 404 behind the last, follow what it says "
        "itself: pagination link, with cursor_path where the answer holds the next address.",
    )
