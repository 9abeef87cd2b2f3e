"""What can be set for a service."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from databases.engines.base import Connection, secret
from databases.engines.http_service import schema
from databases.engines.http_service.urls import PLACEHOLDER, fault_of

PEM = re.compile(r"\s*(-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\s*)+", re.DOTALL)
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # of a header, RFC 9110
VISIBLE = re.compile(r"[\x21-\x7e]+")
OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "idempotency-key"})
ONLY = "records"  # what the records of a service without collections are called
LONGEST_NAME = 200
DEEPEST = 16
MOST_INCREMENTALS = 365
MOST_BATCH = 10_000
LONGEST_WAIT_S = 3600


def _option(default: Any, help_text: str, choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"help": help_text, "choices": choices})


@dataclass(frozen=True)
class HttpOptions:
    """`collection` is a name, or several separated by commas; paths are names of members, joined by dots."""

    url: str = _option("", "Where the records are; {collection} stands for a collection's name.")
    collection: str = _option("", "The collection's name, or several separated by commas.")
    method: str = _option("GET", "POST sends the parameters as a JSON object.", ("GET", "POST"))
    headers: dict[str, str] = field(
        default_factory=dict, repr=False, metadata={"secret": True, "help": "Headers sent with every request."}
    )
    auth: str = _option("none", "basic takes the user and password of the connection.", ("none", "bearer", "basic"))
    token: str = secret("The bearer token.", default="")
    records_path: str = _option("", "Where the list is in the answer, for example data.items (empty: the answer).")
    pagination: str = _option("none", "How one page leads to the next.", ("none", "page", "cursor", "link"))
    page_param: str = _option("page", "The parameter with the page's number.")
    page_start: int = _option(1, "The first page's number.")
    page_size_param: str = _option("", "The parameter with the number of records a page.")
    page_size: int = _option(0, "Records a page (0: as the service likes).")
    cursor_param: str = _option("cursor", "The parameter with the cursor.")
    cursor_path: str = _option("", "Where the answer holds the next cursor, or for link the next page's address.")
    since_param: str = _option("", "The parameter that asks for records changed since a time (RFC 3339).")
    full_every: int = _option(7, "How many incremental backups may follow a full one.")
    restore_url: str = _option("", "Where a restore posts records to; {collection} as above.")
    restore_batch: int = _option(500, "Records a POST.")
    max_bytes: int = _option(10 << 30, "A backup that receives more bytes fails.")
    max_pages: int = _option(100_000, "A collection with more pages fails.")
    timeout_s: int = _option(60, "Seconds to wait for a connection, an answer, and between its bytes.")
    ca: str = _option("", "Certificates of the authorities to trust (PEM text).")
    schema: str = _option("", 'What records have to be when a drill restores them: {"users": JSON Schema}.')


def names_in(collection: str) -> tuple[str, ...]:
    """The collections that an option names; a service without any has one of a fixed name."""
    return tuple(name.strip() for name in collection.split(",")) if collection.strip() else (ONLY,)


def collections_of(options: Mapping[str, Any]) -> tuple[str, ...]:
    """The same, of options as they are stored: anything may be in them."""
    collection = options.get("collection", "")
    return names_in(collection) if isinstance(collection, str) else ()


def path_of(text: str) -> tuple[str, ...]:
    return tuple(text.split(".")) if text else ()


def faults_of(connection: Connection, options: HttpOptions) -> dict[str, str]:
    return {
        **_address_faults(options),
        **_collection_faults(options),
        **_header_faults(options),
        **_auth_faults(connection, options),
        **_paging_faults(options),
        **_number_faults(options),
        **_schema_faults(options),
    }


def _address_faults(options: HttpOptions) -> dict[str, str]:
    faults: dict[str, str] = {}
    if not options.url:
        faults["options.url"] = "A URL is needed."
    for name in ("url", "restore_url"):
        url = getattr(options, name)
        if url and (text := fault_of(url)):
            faults[f"options.{name}"] = text
    if options.ca and not PEM.fullmatch(options.ca):
        faults["options.ca"] = "Paste the PEM text, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----."
    elif options.ca and not options.url.lower().startswith("https://"):
        faults["options.ca"] = "A URL without TLS has no certificate to check."
    return faults


def _collection_faults(options: HttpOptions) -> dict[str, str]:
    names = names_in(options.collection)
    text = ""
    if PLACEHOLDER in options.url + options.restore_url and not options.collection.strip():
        text = f"The URL holds {PLACEHOLDER}: name the collection."
    elif any(not _is_name(name) for name in names):
        text = f"A collection is text of at most {LONGEST_NAME} characters; names are separated by single commas."
    elif len(set(names)) < len(names):
        text = "A collection is named twice."
    elif len(names) > 1 and PLACEHOLDER not in options.url:
        text = f"Several collections need {PLACEHOLDER} in the URL."
    faults = {"options.collection": text} if text else {}
    if len(names) > 1 and options.restore_url and PLACEHOLDER not in options.restore_url:
        faults["options.restore_url"] = f"Several collections need {PLACEHOLDER} in it."
    return faults


def _is_name(name: str) -> bool:
    return 0 < len(name) <= LONGEST_NAME and name not in (".", "..") and not CONTROL.search(name) and _is_utf8(name)


def _header_faults(options: HttpOptions) -> dict[str, str]:
    """The values are secrets: a fault never repeats one."""
    names = {name.lower() for name in options.headers}
    if any(not NAME.fullmatch(name) for name in options.headers):
        return {"options.headers": "A header's name is made of letters, digits and dashes."}
    if any(CONTROL.search(value) or not value.isascii() for value in options.headers.values()):
        return {"options.headers": "A header's value is ASCII text on one line."}
    if taken := sorted(names & OURS):
        return {"options.headers": f"Backupsite sets {', '.join(taken)} itself."}
    if "authorization" in names and options.auth != "none":
        return {"options.headers": f"Authorization is made by auth {options.auth}: leave one of them out."}
    return {}


def _auth_faults(connection: Connection, options: HttpOptions) -> dict[str, str]:
    faults: dict[str, str] = {}
    if options.auth == "bearer" and not options.token:
        faults["options.token"] = "auth bearer needs a token."
    elif options.token and options.auth != "bearer":
        faults["options.token"] = "A token is sent by auth bearer only."
    elif options.token and not VISIBLE.fullmatch(options.token):
        faults["options.token"] = "A token is made of visible ASCII characters, without blanks."
    if options.auth == "basic" and not connection.username:
        faults["username"] = "auth basic needs a user."
    elif connection.username and options.auth != "basic":
        faults["username"] = "A user and a password are sent by auth basic only."
    elif ":" in connection.username or CONTROL.search(connection.username) or not _is_utf8(connection.username):
        faults["username"] = "Colons and control characters are not possible here."
    if connection.password and options.auth != "basic":
        faults["password"] = "A user and a password are sent by auth basic only."
    elif CONTROL.search(connection.password) or not _is_utf8(connection.password):
        faults["password"] = "HTTP cannot hand over a password with control characters."
    return faults


def _paging_faults(options: HttpOptions) -> dict[str, str]:
    faults: dict[str, str] = {}
    for name in ("records_path", "cursor_path"):
        parts = path_of(getattr(options, name))
        if len(parts) > DEEPEST or not all(parts):
            faults[f"options.{name}"] = f"Names joined by single dots, at most {DEEPEST} of them."
    for name in ("page_param", "page_size_param", "cursor_param", "since_param"):
        if (text := getattr(options, name)) and (CONTROL.search(text) or " " in text or not _is_utf8(text)):
            faults[f"options.{name}"] = "A parameter's name holds no blanks."
    if bool(options.page_size) != bool(options.page_size_param):
        faults["options.page_size"] = "page_size and page_size_param belong together."
    if options.pagination == "page" and not options.page_param:
        faults["options.page_param"] = "Pages need it."
    if options.pagination == "cursor":
        faults |= {
            f"options.{n}": "A cursor needs it." for n in ("cursor_param", "cursor_path") if not getattr(options, n)
        }
    if options.pagination in ("cursor", "link") and options.cursor_path and not options.records_path:
        faults["options.records_path"] = "An answer with a cursor in it is an object: say where its list is."
    return faults


_RANGES = {
    "page_start": (0, 1 << 31),
    "page_size": (0, 1_000_000),
    "full_every": (1, MOST_INCREMENTALS),
    "restore_batch": (1, MOST_BATCH),
    "max_bytes": (1, 1 << 50),
    "max_pages": (1, 10_000_000),
    "timeout_s": (1, LONGEST_WAIT_S),
}


def _number_faults(options: HttpOptions) -> dict[str, str]:
    return {
        f"options.{name}": f"A number from {least} to {most}."
        for name, (least, most) in _RANGES.items()
        if not least <= getattr(options, name) <= most
    }


def _schema_faults(options: HttpOptions) -> dict[str, str]:
    text = schema.fault_of(options.schema, names_in(options.collection))
    return {"options.schema": text} if text else {}


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
