"""What can be set for a PostgreSQL Database."""

import re
from dataclasses import dataclass, field
from typing import Any

from databases.engines.base import Connection, secret

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
PEM = re.compile(r"\s*(-----BEGIN [A-Z0-9 ]+-----.+?-----END [A-Z0-9 ]+-----\s*)+", re.DOTALL)
CONTROL = re.compile(r"[\x00\r\n]")


def _option(default: Any, help_text: str, choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"help": help_text, "choices": choices})


@dataclass(frozen=True)
class PostgresOptions:
    """`include_tables`, `exclude_tables` and `schemas` are pg_dump patterns and narrow every dump of the Database."""

    format: str = _option("custom", "custom restores selected tables too; plain is readable SQL.", ("custom", "plain"))
    sslmode: str = _option("prefer", "How far TLS is asked for.", SSL_MODES)
    sslrootcert: str = _option("", "Certificates of the authorities to trust (PEM text).")
    sslcert: str = _option("", "The client's certificate (PEM text).")
    sslkey: str = secret("The client certificate's key (PEM text, without a passphrase).", default="")
    include_tables: tuple[str, ...] = _option((), "Only these tables (patterns like shop.order_*).")
    exclude_tables: tuple[str, ...] = _option((), "Not these tables.")
    schemas: tuple[str, ...] = _option((), "Only these schemas.")
    counts: str = _option("exact", "Count the rows of each table during the dump.", ("exact", "off"))


def faults_of(connection: Connection, options: PostgresOptions) -> dict[str, str]:
    faults: dict[str, str] = {}
    for name in ("host", "username", "database_name"):
        value = getattr(connection, name)
        if not value:
            faults[name] = "PostgreSQL needs this."
        elif CONTROL.search(value) or value != value.strip():
            faults[name] = "Line breaks, NUL and spaces at the ends are not possible here."
    if connection.port is not None and not 1 <= connection.port <= 65535:
        faults["port"] = "A port is a number from 1 to 65535."
    if CONTROL.search(connection.password):
        faults |= {"password": "libpq cannot hand over a password with line breaks or NUL."}
    return faults | _option_faults(options)


def _option_faults(options: PostgresOptions) -> dict[str, str]:
    faults: dict[str, str] = {}
    for name in ("sslrootcert", "sslcert", "sslkey"):
        text = getattr(options, name)
        if text and not PEM.fullmatch(text):
            faults[f"options.{name}"] = "Paste the PEM text, from -----BEGIN to -----END."
    if bool(options.sslcert) != bool(options.sslkey):
        missing = "sslkey" if options.sslcert else "sslcert"
        faults[f"options.{missing}"] = "A client certificate and its key belong together."
    if options.sslmode == "disable" and (options.sslrootcert or options.sslcert):
        faults["options.sslmode"] = "Certificates are given but TLS is disabled."
    for name in ("include_tables", "exclude_tables", "schemas"):
        if any(not pattern.strip() or CONTROL.search(pattern) for pattern in getattr(options, name)):
            faults[f"options.{name}"] = "A pattern is empty or holds a line break."
    return faults
