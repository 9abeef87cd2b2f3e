"""From the first page of a collection to its last."""

import hashlib
import json
import re
from collections.abc import Generator
from dataclasses import dataclass

from databases.engines.http_service.answer import Answer
from databases.engines.http_service.faults import Refused
from databases.engines.http_service.options import HttpOptions
from databases.engines.http_service.page import Page
from databases.engines.http_service.patience import Patience
from databases.engines.http_service.urls import fill, joined, with_parameters
from databases.engines.http_service.wire import Request, Wire
from jobs.errors import BackupError

_LINK = re.compile(r'<([^>]*)>((?:\s*;\s*[^\s=;,]+\s*(?:=\s*(?:"(?:[^"\\]|\\.)*"|[^";,]*))?)*)\s*(?:,|$)')
_REL = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^";,\s]*))', re.IGNORECASE)


Records = Generator[str, None, None]


@dataclass
class Tally:
    """What a run has seen so far, over all collections. `bytes` are those of the answers' bodies, `first` is the first
    answer of all: it has the service's clock, and what the service calls itself."""

    bytes: int = 0
    pages: int = 0
    first: Answer | None = None


class Pages:
    """The records of one collection, page by page. `since` is the watermark of an incremental.

    After the last record `complete` is true, and `has_cursor` says whether any page held a cursor. `total` is how
    many records the service says there are, None where it does not.
    """

    def __init__(self, wire: Wire, options: HttpOptions, collection: str, *, tally: Tally, since: str = "") -> None:
        self.complete = False
        self.has_cursor = False
        self.total: int | None = None
        self.pages = 0
        self._wire, self._options, self._tally = wire, options, tally
        self._start = fill(options.url, collection)
        self._always: dict[str, str | int] = {options.since_param: since} if since else {}
        if options.page_size:
            self._always[options.page_size_param] = options.page_size
        self._seen: set[bytes] = set()

    def __iter__(self) -> Records:
        """Raises BackupError: too_many_pages, too_large, page_loop, and see Page and Wire."""
        return self._by_number() if self._options.pagination == "page" else self._by_what_follows()

    def _by_number(self) -> Records:
        """Until a page is empty; or shorter than page_size, when the first page has shown that the service heeds it.

        A service that gives fewer than it was asked for is read until a page is empty: nothing behind is lost.
        """
        size, number, heeds_size = self._options.page_size, self._options.page_start, False
        while not self.complete:
            count, digest = 0, hashlib.blake2b(digest_size=16)
            try:
                for record in self._page(self._request({self._options.page_param: number})):
                    count += 1
                    digest.update(record.encode() + b"\n")
                    yield record
            except Refused as error:
                # Some frameworks answer so for the page behind the last; the 404 of a proxy is no JSON.
                if self.pages == 0 or error.status != 404 or not error.is_json:
                    raise
            heeds_size = count == size if self.pages == 1 else heeds_size
            self.complete = count == 0 or (heeds_size and count < size)
            if not self.complete:
                self._require_new(digest.digest())
            number += 1

    def _by_what_follows(self) -> Records:
        request = self._request({})
        while not self.complete:
            following = yield from self._page(request)
            self.complete = not following
            if following and self._options.pagination == "cursor":
                request = self._request({self._options.cursor_param: following})
            elif following:
                request = self._made(following, self._always)
            if following:
                self._require_new(following.encode(errors="surrogatepass"))

    def _page(self, request: Request) -> Generator[str, None, str]:
        """Yields one page's records, and returns what leads to the next: a cursor or an address, empty at the end.

        A page that breaks before its first record is asked for again. One that breaks later fails the run: its
        records are in the stream already, and the job's next attempt starts anew.
        """
        if self.pages >= self._options.max_pages:
            raise _too_many(self._options.max_pages)
        patience, count = Patience(self._wire), 0
        while True:
            try:
                with self._wire.ask(request) as answer:
                    self._begun(answer)
                    page = Page(answer, self._options, self._counted)
                    for record in page.records():
                        count += 1
                        yield record
                    break
            except BackupError as error:
                if count:
                    raise
                patience.wait(error)
        self.pages += 1
        self._tally.pages += 1
        self.has_cursor = self.has_cursor or page.has_cursor
        return self._following(answer, page)

    def _begun(self, answer: Answer) -> None:
        self._tally.first = self._tally.first or answer
        told = answer.headers.get("X-Total-Count", "")
        if self.total is None and told.isascii() and told.isdigit():
            self.total = int(told[:18])

    def _following(self, answer: Answer, page: Page) -> str:
        if self._options.pagination == "cursor":
            return page.cursor
        if self._options.pagination != "link":
            return ""
        found = page.cursor if self._options.cursor_path else next_link(answer.links)
        return joined(answer.url, found) if found else ""

    def _request(self, parameters: dict[str, str | int]) -> Request:
        everything = {**self._always, **parameters}
        if self._options.method == "GET":
            return Request(with_parameters(self._start, everything))
        return self._made(self._start, everything)

    def _made(self, url: str, parameters: dict[str, str | int]) -> Request:
        body = json.dumps(parameters).encode() if self._options.method == "POST" else None
        return Request(url, self._options.method, body)

    def _counted(self, block: bytes) -> bytes:
        self._tally.bytes += len(block)
        if self._tally.bytes > self._options.max_bytes:
            raise BackupError(
                f"The service sent more than {self._options.max_bytes} bytes.",
                code="too_large",
                permanent=True,
                hint="Raise max_bytes, if that is right.",
            )
        return block

    def _require_new(self, mark: bytes) -> None:
        digest = hashlib.blake2b(mark, digest_size=16).digest()
        if digest in self._seen:
            raise BackupError(
                f"After page {self.pages} the service leads to a page that was read before.",
                code="page_loop",
                permanent=True,
                hint="Check the parameters of the pagination: the service may not know them.",
            )
        self._seen.add(digest)


def next_link(headers: list[str]) -> str:
    """The address with the relation `next` in Link headers, empty when there is none. RFC 8288."""
    for found in _LINK.finditer(", ".join(headers)):
        relation = _REL.search(found[2])
        if relation and "next" in (relation[1] or relation[2] or "").lower().split():
            return found[1].strip()
    return ""


def _too_many(most: int) -> BackupError:
    return BackupError(
        f"The collection has more than {most} pages.",
        code="too_many_pages",
        permanent=True,
        hint="Raise max_pages, if that is right.",
    )
