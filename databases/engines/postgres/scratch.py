"""A database made for one drill and dropped after it, on a drill server or on a server thrown away with it."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from databases.engines.base import Connection, Guard
from databases.engines.postgres.archive import major_of
from databases.engines.postgres.login import login
from databases.engines.postgres.options import PostgresOptions
from databases.engines.postgres.session import Session, connect
from databases.engines.proof import ScratchRequest
from jobs.errors import BackupError

NAME = re.compile(r"[a-z0-9_]{1,60}")
DROP_WITHIN_S = 600.0  # files of a large database, and a checkpoint of a busy server


def no_scratch(message: str, hint: str, *, permanent: bool = True) -> BackupError:
    return BackupError(message, code="no_scratch", permanent=permanent, hint=hint)


@contextmanager
def database(connection: Connection, options: PostgresOptions, request: ScratchRequest) -> Iterator[Connection]:
    """`connection` is to any database of the server; what comes is one to the new, empty database."""
    made = make(connection, options, request)
    try:
        yield made
    finally:
        drop(connection, options, request)


def make(connection: Connection, options: PostgresOptions, request: ScratchRequest) -> Connection:
    """Raises BackupError(code="no_scratch")."""
    with login(connection, options) as who, connect(who, guard=request.guard) as session:
        _require_possible(session, connection, request.manifest)
        _create(session, named(request), request.manifest, request.guard)
    return replace(connection, database_name=named(request))


def drop(connection: Connection, options: PostgresOptions, request: ScratchRequest) -> None:
    """With whoever is connected; a database that is not there is fine. Not ended by the guard: it cleans up."""
    with login(connection, options) as who, connect(who, within_s=DROP_WITHIN_S) as session:
        session.run(f'DROP DATABASE IF EXISTS "{named(request)}" WITH (FORCE)')


def named(request: ScratchRequest) -> str:
    if not NAME.fullmatch(request.name):
        raise ValueError(f"{request.name!r} is no name for a scratch database")
    return request.name


def _require_possible(session: Session, connection: Connection, manifest: Mapping[str, Any]) -> None:
    may = "SELECT rolcreatedb OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user"
    if not session.value(may):
        quoted = session.value("SELECT pg_catalog.quote_ident(current_user)")
        raise no_scratch(
            f"{connection.username} may not make databases on {connection.host}.",
            f"Run there: ALTER ROLE {quoted} CREATEDB. Or name no drill server.",
        )
    major = major_of(str(manifest.get("server_version", "")))
    if major > session.server_major:
        raise no_scratch(
            f"The backup is of PostgreSQL {major}, the drill server is the older {session.server_version}.",
            f"Name a drill server of PostgreSQL {major} or newer.",
        )
    wanted = set(manifest.get("extensions") or {})
    here = {name for (name,) in session.rows("SELECT name FROM pg_catalog.pg_available_extensions")}
    if missing := sorted(wanted - here):
        raise no_scratch(
            f"The backup needs extensions that the drill's server has not installed: {', '.join(missing)}.",
            "Install their packages beside that server, or name a drill server that has them.",
        )


def _create(session: Session, name: str, manifest: Mapping[str, Any], guard: Guard) -> None:
    """As the backup's database was, as far as this server knows its locale."""
    encoding = manifest.get("encoding") or "UTF8"
    collate, ctype = manifest.get("collate"), manifest.get("ctype")
    if collate and ctype:
        try:
            session.rows(*_creation(name, encoding, collate, ctype))
        except BackupError as error:
            guard.check()
            if "locale" not in error.message:
                raise
            guard.log(f"This server does not know the locale {collate}: the scratch database has C instead.")
        else:
            return
    session.rows(*_creation(name, encoding, "C", "C"))


def _creation(name: str, encoding: str, collate: str, ctype: str) -> tuple[str, tuple[str, str, str]]:
    sql = f'CREATE DATABASE "{name}" TEMPLATE template0 ENCODING %s LC_COLLATE %s LC_CTYPE %s'
    return sql, (encoding, collate, ctype)
