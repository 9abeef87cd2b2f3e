"""What can be set for a MongoDB Database."""

import re
from dataclasses import dataclass, field
from typing import Any

from databases.engines.base import Connection, secret
from databases.engines.mongodb.uri import Uri, split

X509 = "$external"  # the auth source of users that a client certificate names
CERTIFICATE = re.compile(r"\s*(-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\s*)+", re.DOTALL)
PRIVATE_KEY = re.compile(r"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.+-----END \1PRIVATE KEY-----", re.DOTALL)
HOST = re.compile(r"[^\s/,@?#%\x00-\x1f]+")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# The server's own rule for names of databases.
DATABASE = re.compile(r'[^/\\. "$*<>:|?\x00]{1,63}')
URI_HAS_IT = "The uri says this already: leave it empty."


def _option(default: Any, help_text: str) -> Any:
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True)
class MongoOptions:
    """`include_collections` and `exclude_collections` narrow every dump of the Database (selection.py)."""

    uri: str = secret(
        "mongodb:// or mongodb+srv:// address, instead of host, port, user name and password.", default=""
    )
    auth_source: str = _option("", "The database that holds the user (empty: admin).")
    replica_set: str = _option("", "The replica set's name; without it this one host is asked.")
    tls: bool = _option(False, "Connect over TLS.")
    ca: str = _option("", "Certificates of the authorities to trust (PEM text; empty: the host's own).")
    certificate_key: str = secret("The client's certificate and its key, one after the other (PEM text).", default="")
    oplog: bool = _option(False, "Of a whole replica set: one point in time, by the writes made during the dump.")
    include_collections: tuple[str, ...] = _option((), "Only these: orders, shop.orders, shop.order_*.")
    exclude_collections: tuple[str, ...] = _option((), "Not these.")


def faults_of(connection: Connection, options: MongoOptions) -> dict[str, str]:
    faults = _uri_faults(connection, options) if options.uri else _host_faults(connection, options)
    if connection.database_name and not DATABASE.fullmatch(connection.database_name):
        faults["database_name"] = "This cannot be the name of a MongoDB database."
    return faults | _selection_faults(connection, options) | _tls_faults(options)


def _host_faults(connection: Connection, options: MongoOptions) -> dict[str, str]:
    faults: dict[str, str] = {}
    if not connection.host:
        faults["host"] = "MongoDB needs a host or the option uri."
    elif not HOST.fullmatch(connection.host):
        faults["host"] = "One host name or address; for several hosts use the option uri."
    if connection.port is not None and not 1 <= connection.port <= 65535:
        faults["port"] = "A port is a number from 1 to 65535."
    if options.auth_source == X509:
        if not options.certificate_key:
            faults["options.certificate_key"] = f"The auth source {X509} is for users of a client certificate."
        if connection.password:
            faults["password"] = "A user of a client certificate has no password."
    elif bool(connection.username) != bool(connection.password):
        missing = "password" if connection.username else "username"
        faults[missing] = "A user name and its password belong together. Give both, or neither for a server without."
    for name in ("auth_source", "replica_set"):
        if CONTROL.search(getattr(options, name)):
            faults[f"options.{name}"] = "A name holds no line breaks or control characters."
    return faults


def _uri_faults(connection: Connection, options: MongoOptions) -> dict[str, str]:
    faults = {
        name: "The option uri takes the place of this: leave it empty."
        for name in ("host", "port", "username", "password")
        if getattr(connection, name)
    }
    try:
        uri = split(options.uri)
    except ValueError as error:
        return faults | {"options.uri": str(error)}
    named = {name.lower() for name, _ in uri.parameters}
    for option, parameter in (("auth_source", "authsource"), ("replica_set", "replicaset")):
        if getattr(options, option) and parameter in named:
            faults[f"options.{option}"] = URI_HAS_IT
    if options.ca and named & {"tlscafile", "sslcertificateauthorityfile"}:
        faults["options.ca"] = URI_HAS_IT
    if options.certificate_key and named & {"tlscertificatekeyfile", "sslclientcertificatekeyfile"}:
        faults["options.certificate_key"] = URI_HAS_IT
    return faults | _path_faults(connection, uri)


def _path_faults(connection: Connection, uri: Uri) -> dict[str, str]:
    if uri.database and uri.database != "admin" and not connection.database_name:
        text = f"The uri names the database {uri.database}: write it here, or take it out of the uri to back up all."
        return {"database_name": text}
    return {}


def _selection_faults(connection: Connection, options: MongoOptions) -> dict[str, str]:
    faults: dict[str, str] = {}
    for name in ("include_collections", "exclude_collections"):
        patterns = getattr(options, name)
        if any(not pattern.strip() or "\0" in pattern for pattern in patterns):
            faults[f"options.{name}"] = "A name is empty or holds NUL."
    if options.oplog and (connection.database_name or options.include_collections or options.exclude_collections):
        faults["options.oplog"] = (
            "The oplog goes with a whole replica set: leave database_name and the lists of collections empty."
        )
    return faults


def _tls_faults(options: MongoOptions) -> dict[str, str]:
    faults: dict[str, str] = {}
    if options.ca and not CERTIFICATE.fullmatch(options.ca):
        faults["options.ca"] = "Paste the PEM text, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----."
    key = options.certificate_key
    if key and not (PRIVATE_KEY.search(key) and CERTIFICATE.search(key)):
        faults["options.certificate_key"] = "Paste the PEM texts of both the client's certificate and its private key."
    if (options.ca or key) and not (options.tls or options.uri):
        faults["options.tls"] = "Certificates are given but TLS is off."
    return faults
