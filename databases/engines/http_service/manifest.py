"""What the manifest of a service's backup says, and the two shapes of a line."""

import json
from typing import Any

from databases.engines.http_service.options import HttpOptions
from databases.engines.http_service.urls import digest_of, shown

RECORDS = "records"  # each line is a record
TAGGED = "tagged"  # each line is {"collection": its name, "record": the record}


def tag(collection: str) -> bytes:
    """What stands before the record on a tagged line; a closing brace follows it."""
    return f'{{"collection":{json.dumps(collection, ensure_ascii=False)},"record":'.encode()


def identity(options: HttpOptions) -> dict[str, Any]:
    """What an incremental and its parent have in common, beside the collections. The URL may hold a key."""
    return {"url_sha256": digest_of(options.url), "records_path": options.records_path}


def begun(options: HttpOptions, collections: tuple[str, ...], since: str) -> dict[str, Any]:
    return {
        "format": RECORDS if len(collections) == 1 else TAGGED,
        "collections": list(collections),
        "url": shown(options.url),
        **identity(options),
        "since": since or None,
        "counts": {},
    }
