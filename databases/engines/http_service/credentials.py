"""What a request says about who asks; all of it is secret."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field

from databases.engines.base import Connection
from databases.engines.http_service.options import HttpOptions

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
    return Credentials(headers, tuple(secrets))
