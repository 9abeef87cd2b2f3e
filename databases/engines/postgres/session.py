"""Our own connection to the server: checks, facts and counts. libpq's and the server's faults become BackupError."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg2
import psycopg2.extensions

from databases.engines.postgres.faults import DATABASE_MISSING, KNOWN, ROLE_MISSING
from databases.engines.postgres.login import Login
from databases.engines.process import explain
from jobs.errors import BackupError

LOCK_TIMEOUT_S = 10  # of short questions; a dump brings its own


class Session:
    """One connection in autocommit; the caller writes BEGIN and COMMIT."""

    def __init__(self, connection: psycopg2.extensions.connection) -> None:
        self._connection = connection

    def rows(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
        """Without parameters a % in `sql` is itself, with them it is doubled (psycopg2)."""
        with _translated(), self._connection.cursor() as cursor:
            cursor.execute(sql, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def value(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> Any:
        return self.rows(sql, parameters)[0][0]

    def run(self, sql: str) -> None:
        self.rows(sql)

    @property
    def server_major(self) -> int:
        return int(self._connection.server_version) // 10000

    @property
    def server_version(self) -> str:
        return str(self._connection.get_parameter_status("server_version"))

    def cancel(self) -> None:
        """From another thread: ends the running statement."""
        self._connection.cancel()


@contextmanager
def connect(login: Login, *, lock_timeout_s: int = LOCK_TIMEOUT_S) -> Iterator[Session]:
    """Raises BackupError: unreachable, wrong_password, database_missing, not_allowed, tls, busy."""
    with _translated():
        connection = psycopg2.connect(**login.parameters)
    try:
        connection.autocommit = True
        session = Session(connection)
        session.run("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")
        session.run(f"SET lock_timeout = '{lock_timeout_s}s'")
        if session.server_major >= 17:
            session.run("SET transaction_timeout = 0")
        yield session
    finally:
        connection.close()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except psycopg2.Error as error:
        raise translate(error) from error


def translate(error: psycopg2.Error) -> BackupError:
    words = str(error).strip() or type(error).__name__
    lowered = words.lower()
    found = explain(words, KNOWN)
    if found is None and isinstance(error, psycopg2.OperationalError) and "does not exist" in lowered:
        found = DATABASE_MISSING if 'database "' in lowered.split("fatal:")[-1] else ROLE_MISSING
    return BackupError(
        f"PostgreSQL: {words}",
        code=found.code if found else "server_error",
        permanent=found.permanent if found else False,
        hint=found.hint if found else "",
    )
