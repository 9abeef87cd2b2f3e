"""What a request says about who asks; all of it is secret."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from databases.engines.base import Connection
from databases.engines.http_service.options import HttpOptions

SHORTEST_KEY = 6
_ALWAYS = {
    "Accept": "application/json, application/x-ndjson",
    # A packed body could be cut, or unpack to anything; the artefact is compressed later.
    "Accept-Encoding": "identity",
    "User-Agent": "Backupsite",
}


@dataclass(frozen=True)
class Credentials:
    """`headers` go with every request; `secrets` must not be in any message."""

    headers: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)


def credentials_of(connection: Connection, options: HttpOptions) -> Credentials:
    own = {name.title(): value for name, value in options.headers.items()}
    headers = {**_ALWAYS, **own}
    secrets = [*options.headers.values(), options.token]
    if options.auth == "bearer":
        headers["Authorization"] = f"Bearer {options.token}"
    elif options.auth == "basic":
        pair = b64encode(f"{connection.username}:{connection.password}".encode()).decode()
        headers["Authorization"] = f"Basic {pair}"
        secrets += [connection.password, pair]
    for url in (options.url, options.restore_url):
        # Some services want a key in the query; short values are no keys, and would tear a message apart.
        secrets += [value for _, value in parse_qsl(urlsplit(url).query) if len(value) >= SHORTEST_KEY]
    return Credentials(headers, tuple(secrets))
