"""Files that records name, each fetched once and checked. One that cannot be had is told of, and fails nothing."""

import mimetypes
import re
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from exports.nostr.files import NamedFile
from exports.sources.base import Part
from exports.sources.fetch import Fetcher, origin_of
from jobs.errors import BackupError

FOLDER = "media"
MOST_FILES = 2000
MOST_WASTED_S = 600.0  # on files that did not come, or came slowly: users choose the addresses
PATIENCE_S, SLOWEST = 2.0, 256 << 10  # what no file is blamed for: so many seconds, and a second for so many bytes
MOST_LOGGED = 50
MOST_TOLD = 500  # addresses that failed, by name; all are counted
_SUFFIX = re.compile(r"\.[a-z0-9]{1,5}")


@dataclass
class _Wish:
    """One file; with a SHA-256 it may be had from several places."""

    sha256: str
    type: str
    urls: list[str] = field(default_factory=list)


class Media:
    """`want` while the records are read, `parts` then; `facts` after the last part was used up."""

    def __init__(self, fetcher: Fetcher, log: Callable[[str], None]) -> None:
        self._fetcher, self._log = fetcher, log
        self._wishes: dict[str, _Wish] = {}
        self._too_many = 0
        self._fetched = 0
        self._failed: list[dict[str, str]] = []
        self._failures = 0
        self._wasted_s = 0.0
        self._names: set[str] = set()

    def want(self, files: Iterable[NamedFile]) -> None:
        for file in files:
            key = file.sha256 or file.url
            if key not in self._wishes and len(self._wishes) >= MOST_FILES:
                self._too_many += 1
                continue
            wish = self._wishes.setdefault(key, _Wish(file.sha256, file.type))
            if file.url not in wish.urls and len(wish.urls) < 3:
                wish.urls.append(file.url)

    def parts(self) -> Iterator[Part]:
        for wish in self._wishes.values():
            failures: list[dict[str, str]] = []
            for url in wish.urls:
                if (yield from self._from(url, wish, failures)):
                    break
            else:
                self._failed += failures[: max(0, MOST_TOLD - len(self._failed))]
                self._failures += len(failures)

    def facts(self) -> dict[str, Any]:
        """`failed` says of files that are not there why, by each address they were said to be at."""
        more = {"failed_unnamed": self._failures - len(self._failed), "beyond_limit": self._too_many}
        told = {name: count for name, count in more.items() if count}
        return {"fetched": self._fetched, "failed": self._failed, **told}

    def _from(self, url: str, wish: _Wish, failures: list[dict[str, str]]) -> Generator[Part, None, bool]:
        """Returns whether it was there; the part was used up before that."""
        began = time.monotonic()
        try:
            if self._wasted_s > MOST_WASTED_S:
                raise BackupError("Too much time went to files that did not come.", code="not_tried")
            with self._fetcher.fetch(url) as fetched:
                took, began = time.monotonic() - began, time.monotonic()
                self._wasted_s += max(0.0, took - PATIENCE_S - fetched.size / SLOWEST)
                if wish.sha256 and fetched.sha256 != wish.sha256:
                    raise BackupError("It is not the file that was named: its SHA-256 differs.", code="wrong_digest")
                name = f"{FOLDER}/{fetched.sha256}{_suffix(url, wish.type or fetched.type)}"
                if name not in self._names:
                    self._names.add(name)
                    self._fetched += 1
                    yield Part(name, fetched.blocks(), {"url": url}, packed=True)
                return True
        except BackupError as error:
            self._wasted_s += time.monotonic() - began
            failures.append({"url": url, "reason": error.code, "message": _words(error)})
            if len(self._failed) + len(failures) <= MOST_LOGGED:
                self._log(f"A file at {origin_of(url)[1] or 'no host'}: {error.message}")  # operators see no more of it
        return False


def _words(error: BackupError) -> str:
    """Nothing about the site's own network goes to a user."""
    return "It could not be reached." if error.code in ("egress_refused", "unreachable") else error.message


def _suffix(url: str, media_type: str) -> str:
    """By the media type, else what the address ends with."""
    found = mimetypes.guess_extension(media_type, strict=True) if media_type else None
    if found:
        return found
    match = _SUFFIX.fullmatch("." + urlsplit(url).path.rpartition("/")[2].rpartition(".")[2].lower())
    return match[0] if match else ""
