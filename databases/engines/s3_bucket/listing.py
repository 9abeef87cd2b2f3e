"""The keys of a bucket, a page at a time, in the order of their UTF-8 bytes."""

from collections.abc import Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from urllib.parse import quote, unquote_plus
from xml.etree import ElementTree as ET

from databases.engines.s3_bucket.faults import shown
from databases.engines.s3_bucket.retry import patiently
from databases.engines.s3_bucket.tarformat import iso_text
from databases.engines.s3_bucket.wire import Wire
from jobs.errors import BackupError

PAGE = 1000
_LONGEST_PAGE = 16 << 20  # 1,000 keys of 1,024 bytes, all percent-encoded, are 4 MB


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as the listing has it. `etag` without quotes; `last_modified` is ISO 8601 in UTC."""

    key: str
    size: int
    etag: str
    last_modified: str


@dataclass(frozen=True)
class Page:
    objects: tuple[Listed, ...]
    following: str  # the token for the next page, empty at the end
    server: str  # the Server header


class Listing:
    """`first` is there at once; going through it fetches each next page while the current one is used."""

    def __init__(self, wire: Wire, prefix: str, executor: Executor) -> None:
        self._wire, self._prefix, self._executor = wire, prefix, executor
        self.first = _page(wire, prefix, "")

    def __iter__(self) -> Iterator[Listed]:
        """Raises BackupError(code="listing_order") where a key does not follow the one before: the tar's names, the
        index and incrementals rely on the order."""
        page, previous = self.first, None
        while True:
            coming = self._fetch(page.following) if page.following else None
            for listed in page.objects:
                # Code points sort as UTF-8 bytes do.
                if previous is not None and listed.key <= previous:
                    raise _disorder(listed.key, previous)
                previous = listed.key
                yield listed
            if coming is None:
                return
            page = coming.result()

    def _fetch(self, token: str) -> "Future[Page]":
        return self._executor.submit(_page, self._wire, self._prefix, token)


def _page(wire: Wire, prefix: str, token: str) -> Page:
    parameters = {"encoding-type": "url", "list-type": "2", "max-keys": str(PAGE), "prefix": prefix}
    if token:
        parameters["continuation-token"] = token
    query = "&".join(f"{name}={quote(parameters[name], safe='-_.~')}" for name in sorted(parameters))

    def ask() -> Page:
        with wire.get("", query=query) as response:
            text = response.read(_LONGEST_PAGE)
            if response.length or not response.isclosed():
                raise ConnectionError("half a page")
            return _parsed(text, response.getheader("Server") or "")

    return patiently(wire, "the listing", ask)


def _parsed(text: bytes, server: str) -> Page:
    try:
        root = ET.fromstring(text)
        space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
        # A store that does not know encoding-type lists keys as they are: decoded, `a+b` would be another key, which
        # is not there, and the object would seem to have vanished.
        encoded = root.findtext(f"{space}EncodingType") == "url"
        objects = tuple(
            Listed(
                key=unquote_plus(key, errors="strict") if encoded else key,
                size=int(entry.findtext(f"{space}Size", "")),
                etag=entry.findtext(f"{space}ETag", "").strip('"'),
                last_modified=iso_text(entry.findtext(f"{space}LastModified", "")),
            )
            for entry in root.iterfind(f"{space}Contents")
            for key in (entry.findtext(f"{space}Key", ""),)
        )
    except (ET.ParseError, ValueError) as error:
        raise BackupError(
            f"The listing cannot be read ({type(error).__name__}).",
            code="listing",
            permanent=True,
            hint="Keys have to be UTF-8, and the store has to speak version 2 of S3's listing.",
        ) from error
    following = root.findtext(f"{space}NextContinuationToken", "")
    if root.findtext(f"{space}IsTruncated") == "true" and not following:
        raise BackupError("The listing stops in the middle: no token for its next page.", code="listing")
    return Page(objects, following if root.findtext(f"{space}IsTruncated") == "true" else "", server)


def _disorder(key: str, previous: str) -> BackupError:
    return BackupError(
        f"The store lists {shown(key)} after {shown(previous)}.",
        code="listing_order",
        permanent=True,
        hint="Only stores that list keys in the order of their bytes can be backed up; directory buckets do not.",
    )
