"""How the tools and our own connection learn where to go and who we are: one string, in a file for the tools.

mongodump and mongorestore take secrets from a `--config` file only (or a prompt); `--uri` in argv would show them.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from databases.engines.base import Connection
from databases.engines.folder import secret_folder, write_secret
from databases.engines.mongodb.options import X509, MongoOptions
from databases.engines.mongodb.uri import Uri, split

PREFIX = "backupsite-mongo-"
PATIENCE_MS = "5000"  # for a server to be found, and to answer a connection
LONG_ENOUGH = 4  # a shorter text is no secret, and blanking it would make messages unreadable


@dataclass(frozen=True)
class Login:
    """`uri` is for pymongo, `config` is the tools' file with the same; `env` is a child's whole environment."""

    uri: str
    config: Path
    env: Mapping[str, str]
    secrets: tuple[str, ...]


@contextmanager
def login(connection: Connection, options: MongoOptions) -> Iterator[Login]:
    """A 0700 folder with the tools' configuration and PEM files (0600), which is removed at the end."""
    with secret_folder(PREFIX) as folder:
        files = {}
        for parameter, text in (("tlsCAFile", options.ca), ("tlsCertificateKeyFile", options.certificate_key)):
            if text:
                files[parameter] = str(write_secret(folder / f"{parameter}.pem", text.strip() + "\n"))
        uri = uri_of(connection, options).having(*files.items())
        text = uri.text()
        secrets = (text, uri.password, quote(uri.password, safe=""), options.uri, options.certificate_key.strip())
        yield Login(
            uri=text,
            # ASCII without quotes and backslashes, for `text` is percent-encoded.
            config=write_secret(folder / "config.yaml", f'uri: "{text}"\n'),
            env={"PATH": os.defpath, "HOME": str(folder), "LC_ALL": "C"},
            secrets=tuple(secret for secret in secrets if len(secret) >= LONG_ENOUGH),
        )


def uri_of(connection: Connection, options: MongoOptions) -> Uri:
    """Without certificates. The path never names a database: to the tools that would mean a dump of it alone."""
    uri = _given(options) if options.uri else _made(connection, options)
    if options.auth_source:
        uri = uri.having(("authSource", options.auth_source))
    if options.replica_set:
        uri = uri.having(("replicaSet", options.replica_set))
    if options.tls:
        uri = uri.having(("tls", "true"))
    patience = [(name, PATIENCE_MS) for name in ("connectTimeoutMS", "serverSelectionTimeoutMS")]
    return uri.having(("appName", "backupsite"), *(pair for pair in patience if not uri.has(pair[0])))


def _given(options: MongoOptions) -> Uri:
    uri = split(options.uri)
    source = uri.database or "admin"
    uri = Uri(uri.scheme, uri.hosts, uri.user, uri.password, "", uri.parameters)
    # A mongodb+srv:// name may bring its own authSource by DNS; a path in the string goes before that.
    if (
        options.auth_source
        or uri.has("authSource")
        or not uri.user
        or (uri.scheme != "mongodb://" and source == "admin")
    ):
        return uri
    return uri.having(("authSource", source))


def _made(connection: Connection, options: MongoOptions) -> Uri:
    name = f"[{connection.host}]" if ":" in connection.host else connection.host
    uri = Uri("mongodb://", f"{name}:{connection.port or 27017}", connection.username, connection.password)
    if options.auth_source == X509:
        uri = uri.having(("authMechanism", "MONGODB-X509"))
    elif connection.username:
        uri = uri.having(("authSource", "admin"))
    # Without a set's name this one host is meant: what it calls its members need not be reachable from here.
    return uri if options.replica_set else uri.having(("directConnection", "true"))
