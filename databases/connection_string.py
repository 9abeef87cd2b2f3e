"""Connection strings as people copy them out of a console, read into the fields of a Database. Pure functions.

A secret is never handed on: `Read.secrets` says where it stands in the text, and who has the text takes it from there.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from jobs.errors import BackupError

MOST = 4096
WHOLE = re.compile(
    r"\s*(?P<scheme>[a-z][a-z0-9+.-]*)://"
    r"(?:(?P<user>[^:@/?#\s]*)(?::(?P<password>[^/?#\s]*))?@)?"
    r"(?P<hosts>[^@/?#\s]*)(?P<path>/[^?#\s]*)?(?:\?(?P<query>[^#\s]*))?\s*",
    re.IGNORECASE,
)
HOST = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[^:\[\],]*))(?::(?P<port>\d{1,5})?)?")
PARAMETER = re.compile(r"(?P<name>[^&=]+)=(?P<value>[^&]*)")
AMAZON = re.compile(r"(?:(?P<bucket>.+)\.)?s3[.-](?:(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)\.)?amazonaws\.com(?:\.cn)?")


@dataclass(frozen=True)
class Span:
    """Where a secret stands in the text; `encoded` ones have percent signs."""

    start: int
    end: int
    encoded: bool = True

    def of(self, text: str) -> str:
        found = text[self.start : self.end]
        return unquote(found) if self.encoded else found


@dataclass
class Read:
    """`fields` by their names in the form (`options.sslmode`; `password-remove` takes a stored secret away);
    `left_out` are parameters that no field takes."""

    fields: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, Span] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


@dataclass
class Parts:
    text: str
    scheme: str
    user: str
    password: Span | None
    hosts: str
    path: str
    query: list[tuple[str, str, Span]]

    def host(self) -> tuple[str, int | str]:
        """The one host with its port, which is empty where none is said."""
        found = HOST.fullmatch(self.hosts)
        if "," in self.hosts:
            raise _fault("This names several hosts.", "Leave the one that is to be backed up.")
        if found is None:
            hint = "In a password, characters such as / ? # @ are written percent-encoded: %2F %3F %23 %40."
            raise _fault("The host and its port cannot be told apart from the rest.", hint)
        return unquote(found["six"] or found["name"] or ""), int(found["port"]) if found["port"] else ""

    def secret(self, name: str) -> dict[str, Span]:
        return {name: self.password} if self.password and self.password.start < self.password.end else {}


def read_connection_string(text: str, *, engine: str) -> Read:
    """Raises BackupError(code="invalid_connection_string"), which repeats nothing of the text."""
    parts = _parts(text)
    schemes = SCHEMES.get(engine, {})
    if parts.scheme not in schemes:
        known = ", ".join(f"{scheme}://" for scheme in schemes) or "none"
        raise _fault("This is not a connection string of this engine.", f"It begins with {known}.")
    return schemes[parts.scheme](parts)


def _parts(text: str) -> Parts:
    found = WHOLE.fullmatch(text[:MOST])
    if found is None or len(text) > MOST:
        raise _fault("This is not a connection string.", "It is written as scheme://user:password@host:port/name.")
    start = found.start("query")
    return Parts(
        text=text,
        scheme=found["scheme"].lower(),
        user=unquote(found["user"] or ""),
        password=Span(*found.span("password")) if found["password"] else None,
        hosts=found["hosts"],
        path=unquote(found["path"] or ""),
        query=[
            (unquote(one["name"]), unquote(one["value"]), Span(start + one.start("value"), start + one.end("value")))
            for one in PARAMETER.finditer(found["query"] or "")
        ],
    )


def _postgres(parts: Parts) -> Read:
    host, port = parts.host()
    fields = {"host": host, "port": port, "username": parts.user, "database_name": parts.path[1:]}
    read = Read(fields, parts.secret("password"))
    names = {"host": "host", "hostaddr": "host", "port": "port", "user": "username", "dbname": "database_name"}
    names |= {"sslmode": "options.sslmode"}
    for name, value, span in parts.query:
        if name == "password":
            read.secrets["password"] = span
        elif name in names:
            fields[names[name]] = value
        else:
            read.left_out.append(name)
    return read


def _mongodb(parts: Parts) -> Read:
    """In fields where they can hold it all, else as it is in the secret option `uri`."""
    said = {name.lower(): value for name, value, _ in parts.query}
    tls = said.get("tls", said.get("ssl", "")) == "true"
    database = parts.path[1:]
    if parts.scheme != "mongodb" or "," in parts.hosts or set(said) - {"tls", "ssl", "authsource", "replicaset"}:
        start = len(parts.text) - len(parts.text.lstrip())
        whole = Span(start, len(parts.text.rstrip()), encoded=False)
        emptied: dict[str, Any] = {"host": "", "port": "", "username": ""}
        emptied |= {"options.auth_source": "", "options.replica_set": "", "options.tls": False, "password-remove": True}
        return Read({**emptied, "database_name": "" if database == "admin" else database}, {"options.uri": whole})
    host, port = parts.host()
    fields = {
        "host": host,
        "port": port,
        "username": parts.user,
        "database_name": "" if database == "admin" else database,
        "options.auth_source": said.get("authsource", database if parts.user else ""),
        "options.replica_set": said.get("replicaset", ""),
        "options.tls": tls,
        "options.uri-remove": True,
        "password-remove": False,
    }
    return Read(fields, parts.secret("password"))


def _bucket(parts: Parts) -> Read:
    """`s3://bucket/prefix`; with a port, and as https://, the host is the store, and the bucket stands in the path."""
    host, port = parts.host()
    said = {name.lower(): value for name, value, _ in parts.query}
    amazon = AMAZON.fullmatch(host)
    endpoint, region, path = "", said.pop("region", ""), parts.path[1:]
    if parts.scheme == "s3" and not port and not amazon:
        bucket, prefix = host, path
        endpoint = said.pop("endpoint", said.pop("endpoint_url", ""))
    elif amazon and amazon["bucket"]:
        bucket, prefix = amazon["bucket"], path
    else:
        bucket, _, prefix = path.partition("/")
        scheme = "https" if parts.scheme == "s3" else parts.scheme
        endpoint = "" if amazon else f"{scheme}://{parts.hosts}"
    region = region or (amazon["region"] if amazon and amazon["region"] else "")
    fields = {"options.bucket": bucket, "options.prefix": prefix, "options.endpoint_url": endpoint}
    fields |= {"options.region": region} if region else {}
    fields |= {"options.access_key": parts.user} if parts.user else {}
    return Read(fields, parts.secret("options.secret_key"), sorted(said))


def _service(parts: Parts) -> Read:
    parts.host()
    found = WHOLE.fullmatch(parts.text)
    query = f"?{found['query']}" if found and found["query"] else ""
    path = found["path"] or "" if found else ""
    fields: dict[str, Any] = {"options.url": f"{parts.scheme}://{parts.hosts}{path}{query}"}
    if parts.user:
        fields |= {"username": parts.user, "options.auth": "basic"}
    return Read(fields, parts.secret("password"))


def _file(parts: Parts) -> Read:
    return Read({"options.path": f"/{parts.path.lstrip('/')}"})


def _fault(message: str, hint: str) -> BackupError:
    return BackupError(message, code="invalid_connection_string", permanent=True, hint=hint)


SCHEMES: Mapping[str, Mapping[str, Callable[[Parts], Read]]] = {
    "postgres": {"postgres": _postgres, "postgresql": _postgres},
    "mongodb": {"mongodb": _mongodb, "mongodb+srv": _mongodb},
    "s3": {"s3": _bucket, "https": _bucket, "http": _bucket},
    "http": {"https": _service, "http": _service},
    "sqlite": {"sqlite": _file},
}
