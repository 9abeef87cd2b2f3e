"""What an object carries beside its bytes, as arguments of PutObject and CreateMultipartUpload."""

from contextlib import suppress
from datetime import datetime
from email.header import Header
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

_ARGUMENTS = {
    "cache_control": "CacheControl",
    "content_disposition": "ContentDisposition",
    "content_encoding": "ContentEncoding",
    "content_language": "ContentLanguage",
}


class Described(Protocol):
    @property
    def content_type(self) -> str: ...
    @property
    def metadata(self) -> dict[str, dict[str, str]]: ...


def arguments_of(found: Described) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The arguments, and in words what is not exactly as it was."""
    headers, user = found.metadata.get("headers", {}), found.metadata.get("user", {})
    arguments: dict[str, Any] = {
        name: _ascii(headers[header]) for header, name in _ARGUMENTS.items() if header in headers
    }
    differences = []
    if not all(value.isascii() for value in (*headers.values(), *user.values())):
        differences.append("metadata beyond ASCII, written in the form of RFC 2047")
    if user:
        arguments["Metadata"] = {name: _ascii(value) for name, value in user.items()}
    if found.content_type:
        arguments["ContentType"] = _ascii(found.content_type)
    if "expires" in headers:
        moment = _moment(headers["expires"])
        if moment is None:
            differences.append("an Expires header that is no date, left out")
        else:
            arguments["Expires"] = moment
    return arguments, tuple(differences)


def _moment(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except ValueError:
        return None


def _ascii(value: str) -> str:
    """HTTP carries ASCII; a store's raw bytes, which http.client reads as Latin-1, were UTF-8 most likely."""
    if value.isascii():
        return value
    with suppress(UnicodeError):  # then it is what it seems to be
        value = value.encode("latin-1").decode()
    return Header(value, "utf-8", maxlinelen=10_000).encode()
