"""Addresses of a service: checked, filled in, compared and shown."""

import hashlib
import re
from collections.abc import Mapping
from urllib.parse import quote, urlencode, urljoin, urlsplit, urlunsplit

PLACEHOLDER = "{collection}"
PORTS = {"http": 80, "https": 443}
_UNSAFE = re.compile(r"[^\x21-\x7e]|[\\{}<>\"^`|]")
_HOST = re.compile(r"[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]")

Origin = tuple[str, str, int]


def fault_of(url: str) -> str:
    """What is wrong with a configured address, for the operator; empty when nothing is. It never repeats it."""
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        return "This is no URL."
    if parts.scheme not in PORTS or not host:
        return "Write it as http://host/path or https://host/path."
    if "@" in parts.netloc:
        return "Leave user and password out of it: set auth, or a header."
    if parts.fragment:
        return "Leave out what follows the #."
    if PLACEHOLDER in parts.netloc or port == 0:
        return "The host and the port are fixed."
    if not _HOST.fullmatch(parts.netloc.rpartition(":")[0] if port else parts.netloc.removesuffix(":")):
        return "A host is an ASCII name (xn--... for others) or an address; IPv6 in brackets."
    if _UNSAFE.search(url.replace(PLACEHOLDER, "")):
        return f"Percent-encode blanks and special characters; the only thing in braces is {PLACEHOLDER}."
    return ""


def fill(url: str, collection: str) -> str:
    return url.replace(PLACEHOLDER, quote(collection, safe=""))


def with_parameters(url: str, parameters: Mapping[str, str | int]) -> str:
    """The address with these at the end of its query, in place of those of the same name."""
    if not parameters:
        return url
    parts = urlsplit(url)
    names = {quote(name, safe="") for name in parameters} | set(parameters)
    kept = [pair for pair in parts.query.split("&") if pair and pair.partition("=")[0] not in names]
    return urlunsplit(parts._replace(query="&".join([*kept, urlencode(parameters)]), fragment=""))


def origin_of(url: str) -> Origin:
    """Scheme, host and port; of what is no URL an origin that nothing else has."""
    try:
        parts = urlsplit(url)
        return parts.scheme, (parts.hostname or "").lower(), parts.port or PORTS.get(parts.scheme, 0)
    except ValueError:
        return url, "", 0


def joined(base: str, reference: str) -> str:
    """Where a reference in an answer leads to."""
    try:
        return urljoin(base, reference)
    except ValueError:
        return reference


def target_of(url: str) -> str:
    """What stands in the request line: path and query."""
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def shown(url: str) -> str:
    """Without its query, which may hold a key."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that is no URL"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def digest_of(url: str) -> str:
    """To compare addresses by, where the address itself is not to be read."""
    return hashlib.sha256(url.encode()).hexdigest()
