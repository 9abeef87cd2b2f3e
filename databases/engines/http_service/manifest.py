"""What the manifest of a service's backup says, and the two shapes of a line."""

import hashlib
import json
from typing import Any

from databases.engines.base import Connection
from databases.engines.http_service.options import HttpOptions
from databases.engines.http_service.urls import digest_of, shown

RECORDS = "records"  # each line is a record
TAGGED = "tagged"  # each line is {"collection": its name, "record": the record}
_PAGING = ("pagination", "page_param", "page_start", "page_size_param", "page_size", "cursor_param", "cursor_path")


def tag(collection: str) -> bytes:
    """What stands before the record on a tagged line; a closing brace follows it."""
    return f'{{"collection":{json.dumps(collection, ensure_ascii=False)},"record":'.encode()


def identity(connection: Connection, options: HttpOptions) -> dict[str, Any]:
    """What an incremental and its parent have in common, beside the collections: all that decides which records come.

    A backup made with the wrong pages lacks records that nothing changed since; whoever corrects them needs a full one.
    The URL may hold a key. Of what is secret nothing goes in: a new token or password is no other service.
    """
    return {
        "url_sha256": digest_of(options.url),
        "method": options.method,
        "records_path": options.records_path,
        "paging": {name: getattr(options, name) for name in _PAGING},
        "since_param": options.since_param,
        "auth_sha256": _who_asks(connection, options),
    }


def _who_asks(connection: Connection, options: HttpOptions) -> str:
    """A digest of the kind of authentication, the user, and the names of the headers, not their values."""
    known = [options.auth, connection.username, sorted(name.lower() for name in options.headers)]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()


def begun(connection: Connection, options: HttpOptions, collections: tuple[str, ...], since: str) -> dict[str, Any]:
    return {
        "format": RECORDS if len(collections) == 1 else TAGGED,
        "collections": list(collections),
        "url": shown(options.url),
        **identity(connection, options),
        "led": False,  # whether any answer told of a next page: see Tally
        "since": since or None,
        "counts": {},
    }
