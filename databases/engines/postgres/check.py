"""Can this Database be backed up, and what would a backup hold?"""

import time
from collections.abc import Mapping
from typing import Any

from databases.engines.base import CheckReport, Connection, Inventory, InventoryItem
from databases.engines.postgres import catalog
from databases.engines.postgres.clients import pick
from databases.engines.postgres.login import login
from databases.engines.postgres.options import PostgresOptions
from databases.engines.postgres.session import Session, connect
from jobs.errors import BackupError

KINDS = {"r": "table", "p": "partitioned table", "m": "materialized view"}
SHOWN = 5


def check(connection: Connection, options: PostgresOptions, settings: Mapping[str, Any]) -> CheckReport:
    began = time.monotonic()
    try:
        with login(connection, options) as who, connect(who) as session:
            session.value("SELECT 1")
            latency = round(1000 * (time.monotonic() - began), 1)
            version = session.server_version
            try:
                tool = pick(settings, at_least=session.server_major).text
            except BackupError as error:
                return _refused(error, latency_ms=latency, server_version=version)
            selection = catalog.Selection(options.include_tables, options.exclude_tables, options.schemas)
            return CheckReport(
                ok=True,
                latency_ms=latency,
                server_version=version,
                tool_version=tool,
                warnings=tuple(_warnings(session, selection)),
            )
    except BackupError as error:
        return _refused(error)


def _refused(error: BackupError, *, latency_ms: float | None = None, server_version: str = "") -> CheckReport:
    return CheckReport(
        ok=False,
        latency_ms=latency_ms,
        server_version=server_version,
        error=error.message,
        code=error.code,
        hint=error.hint,
    )


def _warnings(session: Session, selection: catalog.Selection) -> list[str]:
    warnings = []
    superuser, bypass = session.rows(
        "SELECT rolsuper, rolbypassrls FROM pg_catalog.pg_roles WHERE rolname = current_user"
    )[0]
    if superuser:
        warnings.append("The user is a superuser: a user with pg_read_all_data is enough for backups.")
    unreadable = catalog.unreadable(session, selection)
    if unreadable:
        warnings.append(
            f"{len(unreadable)} tables or sequences cannot be read, a backup would fail: {_some(unreadable)}."
        )
    if not (superuser or bypass) and (hidden := catalog.row_secured(session)):
        warnings.append(f"Row security may hide rows of {_some(hidden)}: a backup would fail. Give BYPASSRLS.")
    if not catalog.tables(session, selection, sizes=False):
        warnings.append("No table was found: a backup would hold no rows.")
    return warnings


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def inventory(connection: Connection, options: PostgresOptions) -> Inventory:
    selection = catalog.Selection(options.include_tables, options.exclude_tables, options.schemas)
    with login(connection, options) as who, connect(who) as session:
        tables = catalog.tables(session, selection)
        size = session.value("SELECT pg_catalog.pg_database_size(pg_catalog.current_database())")
    items = tuple(
        InventoryItem(name=table.name, kind=KINDS[table.kind], rows=table.estimate, size=table.size) for table in tables
    )
    return Inventory(items=items, size=size if selection.whole else sum(table.size for table in tables))
