"""Assertions of a drill: one SELECT that answers with one number or boolean, and changes nothing."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from databases.engines.base import Connection, Guard
from databases.engines.postgres.login import login
from databases.engines.postgres.options import PostgresOptions
from databases.engines.postgres.session import Session, connect
from jobs.errors import BackupError

LONGEST = 10_000
LIMIT = "300s"

# What a query may hold that only looks like SQL: comments, strings, quoted names.
QUOTED = re.compile(
    r"""--[^\n]* | /\*.*?\*/ | \b[eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
        | (?P<tag>\$(?:[^\W\d]\w*)?\$).*?(?P=tag)""",
    re.DOTALL | re.VERBOSE,
)


def fault(query: Any) -> str:
    sql = _sql(query)
    if sql is None:
        return 'An assertion is a text of SQL, or {"sql": "..."}.'
    if not sql.strip():
        return "The SQL is empty."
    if len(sql) > LONGEST:
        return f"The SQL is longer than {LONGEST} characters."
    if "\0" in sql:
        return "The SQL holds a NUL."
    bare = QUOTED.sub(" ", sql).strip()
    if ";" in bare.removesuffix(";"):
        return "Give one statement only."
    if not re.match(r"[\s(]*(select|with|values|table)\b", bare, re.IGNORECASE):
        return "Give a SELECT that answers with one number or boolean."
    return ""


def _sql(query: Any) -> str | None:
    if isinstance(query, Mapping):
        query = query.get("sql") if set(query) == {"sql"} else None
    return query if isinstance(query, str) else None


def evaluate(connection: Connection, options: PostgresOptions, query: Any, guard: Guard) -> bool | int | float | None:
    """Raises BackupError(code="assertion") for what is no such query, fails, or answers with something else."""
    if wrong := fault(query):
        raise _fault(wrong)
    sql = (_sql(query) or "").strip().removesuffix(";")
    with login(connection, options) as who, connect(who, guard=guard) as session:
        session.run(f"BEGIN READ ONLY; SET LOCAL statement_timeout = '{LIMIT}'")
        try:
            rows = _answer(session, sql)
        except BackupError as error:
            guard.check()
            raise _fault(error.message) from error
    if len(rows) != 1 or len(rows[0]) != 1:
        raise _fault(f"The SQL answered with {_size(rows)}, and not with one value.")
    value = rows[0][0]
    if isinstance(value, Decimal):
        return int(value) if value.is_finite() and value == int(value) else float(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    raise _fault("The SQL answered with something else than a number or a boolean.")


def _answer(session: Session, sql: str) -> list[tuple[Any, ...]]:
    """Through a cursor, which the server declares for nothing but a query."""
    session.run(f"DECLARE answer NO SCROLL CURSOR FOR\n{sql}\n")
    return session.rows("FETCH 2 FROM answer")


def _size(rows: list[tuple[Any, ...]]) -> str:
    if not rows:
        return "no row"
    return "several rows" if len(rows) > 1 else f"{len(rows[0])} columns"


def _fault(message: str) -> BackupError:
    return BackupError(
        message, code="assertion", permanent=True, hint="Correct the SQL: it runs in the restored database, read-only."
    )
