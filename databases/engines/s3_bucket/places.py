"""Where things are in S3: is this the same bucket, and is that key an artefact of ours?"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

from databases.engines.base import StoredPlace
from databases.engines.s3_bucket.options import S3Options

IDENTITY = ("bucket", "prefix", "endpoint", "selection")
_PORTS = {"http": 80, "https": 443}
_AWS = re.compile(r"https?://s3([.-][a-z0-9-]+)*\.amazonaws\.com(\.cn)?")
# `<database>/<yyyy>/<mm>/<database>_<time>_<backup>-<attempt>.<extensions>`, as backups/artefact.py names them,
# packages alike, their sidecars and indexes too.
_ARTEFACT = re.compile(
    r"(?:(?P<id>[a-z0-9_-]+)/\d{4}/\d\d/(?P=id)|packages/\d{4}/\d\d/package)"
    r"_\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_(?:bkp|pkg)_[a-z0-9]{12}-\d+(?:\.[a-z0-9]+)+"
)
_NAMED = "<database>/<year>/<month>/"
SCRATCH = ".backupsite-drill/"  # below it, and below the drill's name, lies what a drill has restored
_SCRATCH = re.compile(rf"{re.escape(SCRATCH)}[a-z0-9_]+/")


def endpoint_of(url: str) -> str:
    """One spelling of an endpoint: scheme, host and port; empty for AWS."""
    parts = urlsplit(url.strip())
    scheme = parts.scheme.lower()
    if not scheme or _AWS.fullmatch(f"{scheme}://{parts.hostname}"):
        return ""
    return f"{scheme}://{parts.hostname}:{parts.port or _PORTS.get(scheme, 0)}{parts.path.rstrip('/')}"


def identity(options: S3Options) -> dict[str, Any]:
    """What an incremental and its parents have in common, as the manifest says it."""
    return {
        "bucket": options.bucket,
        "prefix": options.prefix,
        "endpoint": endpoint_of(options.endpoint_url),
        "selection": {"include": list(options.include), "exclude": list(options.exclude)},
    }


def is_left_out(key: str, left_out: Iterable[str]) -> bool:
    """Whether a key is where a backup did not look, by the places in its manifest."""
    return any(_is_at(key, place) for place in left_out)


def _is_at(key: str, place: str) -> bool:
    if place == _NAMED:
        return _ARTEFACT.fullmatch(key) is not None
    return _SCRATCH.search(key) is not None if place == SCRATCH else key.startswith(place)


class OwnPlaces:
    """The site's Destinations inside this bucket, and what drills have restored into it.

    `left_out` counts what was left out, by place.
    """

    def __init__(self, options: S3Options, places: Sequence[StoredPlace], log: Callable[[str], None]) -> None:
        self.left_out: dict[str, int] = {}
        self._prefixes: list[str] = []
        self._prefix = options.prefix
        self._whole = False  # a Destination without a prefix: only names tell
        here = endpoint_of(options.endpoint_url)
        for place in places:
            if place.bucket != options.bucket:
                continue
            if endpoint_of(place.endpoint_url) != here:
                log(
                    f"A destination's bucket is called {place.bucket} too, at another endpoint. If it is the same "
                    "store, write the endpoint the same way in both: backups would be backed up."
                )
            elif place.prefix:
                self._prefixes.append(place.prefix.rstrip("/") + "/")
            else:
                self._whole = True

    def holds(self, key: str) -> bool:
        for prefix in self._prefixes:
            if key.startswith(prefix):
                self.left_out[prefix] = self.left_out.get(prefix, 0) + 1
                return True
        if self._whole and _ARTEFACT.fullmatch(key):
            self.left_out[_NAMED] = self.left_out.get(_NAMED, 0) + 1
            return True
        if _SCRATCH.search(key, len(self._prefix)):  # and not the scratch prefix that a drill itself works in
            self.left_out[SCRATCH] = self.left_out.get(SCRATCH, 0) + 1
            return True
        return False
