"""From the first page of a collection to its last."""

import hashlib
import json
from collections.abc import Generator
from dataclasses import dataclass

from databases.engines.http_service.answer import Answer
from databases.engines.http_service.ending import (
    gone,
    leads,
    next_link,
    require_last,
    require_no_link,
    require_place,
    require_told,
    total_of,
)
from databases.engines.http_service.faults import Refused
from databases.engines.http_service.options import HttpOptions
from databases.engines.http_service.page import Page
from databases.engines.http_service.patience import Patience
from databases.engines.http_service.urls import fill, joined, with_parameters
from databases.engines.http_service.wire import Request, Wire
from jobs.errors import BackupError

Records = Generator[str, None, None]


@dataclass
class Tally:
    """What a run has seen so far, over all collections. `bytes` are those of the answers' bodies, `first` is the first
    answer of all: it has the service's clock, and what the service calls itself. `led` is whether any answer told of a
    next page, be it that there is none: then cursor_path, or the trust in Link headers, is proven."""

    bytes: int = 0
    pages: int = 0
    first: Answer | None = None
    led: bool = False


class Pages:
    """The records of one collection, page by page. `since` is the watermark of an incremental.

    After the last record `complete` is true, and `has_lead` says whether any page told of a next one, be it that there
    is none. `total` is how many records there are as the first answer tells, None where it does not.
    """

    def __init__(self, wire: Wire, options: HttpOptions, collection: str, *, tally: Tally, since: str = "") -> None:
        self.complete = False
        self.has_lead = False
        self.total: int | None = None
        self.pages = 0
        self._wire, self._options, self._tally = wire, options, tally
        self._collection, self._since, self._count = collection, since, 0
        self._start = fill(options.url, collection)
        self._always: dict[str, str | int] = {options.since_param: since} if since else {}
        if options.page_size:
            self._always[options.page_size_param] = options.page_size
        self._seen: set[bytes] = set()

    def __iter__(self) -> Records:
        """Raises BackupError: too_many_pages, too_large, page_loop, more_pages, cursor_missing, link_missing,
        incomplete_collection, and see Page and Wire."""
        yield from self._by_number() if self._options.pagination == "page" else self._by_what_follows()
        if not self._since:  # some services tell how many there are in all, also when they are asked for changes
            require_told(self._collection, self._count, self.total)

    def _by_number(self) -> Records:
        """Until a page is empty: a short one may be one of which the service left records out, and no end."""
        number = self._options.page_start
        while not self.complete:
            count, digest = 0, hashlib.blake2b(digest_size=16)
            try:
                for record in self._page(self._request({self._options.page_param: number})):
                    count += 1
                    digest.update(record.encode() + b"\n")
                    yield record
            except Refused as error:
                if self.pages == 0 or error.status != 404:
                    raise
                raise gone(error) from error
            self.complete = count == 0
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
        self._count += count
        self.has_lead = self.has_lead or leads(answer, page, self._options)
        self._tally.led = self._tally.led or self.has_lead
        return self._following(answer, page, count)

    def _begun(self, answer: Answer) -> None:
        self._tally.first = self._tally.first or answer
        if self.pages == 0:
            self.total = total_of(answer)
        if self._options.pagination == "none":
            require_no_link(answer)

    def _following(self, answer: Answer, page: Page, count: int) -> str:
        options = self._options
        if options.pagination not in ("cursor", "link"):
            return ""
        are_all = self.total is not None and self._count >= self.total
        in_doubt = count > 0 and not self._tally.led and not are_all
        if in_doubt:
            require_place(answer, page, options)
        found = page.cursor if options.cursor_path else next_link(answer.links)
        if not found:
            require_last(answer, options, in_doubt=in_doubt and 0 < options.page_size <= count)
            return ""
        return found if options.pagination == "cursor" else joined(answer.url, found)

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


def _too_many(most: int) -> BackupError:
    return BackupError(
        f"The collection has more than {most} pages.",
        code="too_many_pages",
        permanent=True,
        hint="Raise max_pages, if that is right.",
    )
