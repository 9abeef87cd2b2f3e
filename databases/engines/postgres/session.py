"""Our own connection to the server: checks, facts and counts. libpq's and the server's faults become BackupError."""

import os
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg2
import psycopg2.extensions

from databases.engines.base import Guard
from databases.engines.postgres.faults import DATABASE_MISSING, KNOWN, ROLE_MISSING
from databases.engines.postgres.login import Login
from databases.engines.process import explain
from jobs.errors import BackupError

LOCK_TIMEOUT_S = 10  # of short questions; a dump brings its own
ANSWER_WITHIN_S = 60.0  # what questions may take together that nobody can cancel


class Session:
    """One connection in autocommit; the caller writes BEGIN and COMMIT."""

    def __init__(self, connection: psycopg2.extensions.connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self.is_cut = False

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

    def cut(self) -> None:
        """From another thread, at once: whoever waits for an answer gets an error.

        libpq's own cancel asks the server through a new connection, and waits for ever when that is frozen.
        """
        with self._lock:
            if self._connection.closed:  # its number may be another file's by now
                return
            self.is_cut = True
            with suppress(OSError), socket.socket(fileno=os.dup(self._connection.fileno())) as wire:
                wire.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with self._lock:
            self._connection.close()


@contextmanager
def connect(
    login: Login,
    *,
    lock_timeout_s: int = LOCK_TIMEOUT_S,
    guard: Guard | None = None,
    within_s: float = ANSWER_WITHIN_S,
) -> Iterator[Session]:
    """Raises BackupError: unreachable, wrong_password, database_missing, not_allowed, tls, busy.

    A server that freezes after it let us in is left when the guard aborts, or after `within_s` where there is none.
    """
    connection = _connected(login, guard)
    session = Session(connection)
    try:
        connection.autocommit = True
        with _left_in_time(session, guard, within_s):
            session.run("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")
            session.run(f"SET lock_timeout = '{lock_timeout_s}s'")
            if session.server_major >= 17:
                session.run("SET transaction_timeout = 0")
            with suppress(BackupError):  # a server that cannot look whether we are still there
                session.run("SET client_connection_check_interval = '5s'")
            yield session
    finally:
        session.close()


def _connected(login: Login, guard: Guard | None) -> psycopg2.extensions.connection:
    try:
        with _translated():
            connection: psycopg2.extensions.connection = psycopg2.connect(**login.parameters)
            return connection
    except BackupError:
        if guard is not None:
            guard.check()  # a drill's own server ends with its job: then the reason is the job's
        raise


@contextmanager
def _left_in_time(session: Session, guard: Guard | None, within_s: float) -> Iterator[None]:
    if guard is not None:
        forget = guard.on_abort(session.cut)
        try:
            yield
        except BackupError:
            guard.check()
            raise
        finally:
            forget()
        return
    timer = threading.Timer(within_s, session.cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    except BackupError as error:
        if not session.is_cut:
            raise
        raise BackupError(
            f"PostgreSQL let us in and did not answer within {within_s:.0f} seconds.",
            code="unreachable",
            hint="The server hangs or is overloaded: look at its log and at pg_stat_activity.",
        ) from error
    finally:
        timer.cancel()


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
