"""A PostgreSQL server started for one drill from this host's binaries, and thrown away with all it held.

It listens on a socket in a folder of its own that nobody else can enter, and on no port. It dies with the thread that
started it; its own processes end with it, at the latest a second after the tool that they work for.
"""

import os
import pwd
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from databases.engines.base import Connection, Guard
from databases.engines.postgres.archive import major_of
from databases.engines.postgres.clients import Client, pick_server
from databases.engines.postgres.login import login
from databases.engines.postgres.options import PostgresOptions
from databases.engines.postgres.scratch import make, named, no_scratch
from databases.engines.postgres.session import connect
from databases.engines.process import Process, Tool, User, start
from databases.engines.proof import ScratchRequest
from jobs.errors import BackupError

PREFIX = "backupsite-drill-"
SUPERUSER = "postgres"
ASKER = "backupsite_asks"  # who answers assertions: a superuser could read this host's files
PORT = 5432  # of the socket's name alone
ROOM = 256 << 20  # for the server's own files, beside what the backup's database took
LONGEST_SOCKET = 107  # bytes of a socket's path, by the kernel
READY_WITHIN_S = 120.0
POLL_S = 0.05
ACCOUNTS = ("postgres", "nobody")

# Nothing in it has to outlive a crash. Without a replica's WAL, rows of tables made in the same transaction need none.
SETTINGS = """
listen_addresses = ''
unix_socket_directories = '{socket}'
unix_socket_permissions = 0700
port = {port}
fsync = off
full_page_writes = off
synchronous_commit = off
wal_level = minimal
max_wal_senders = 0
max_wal_size = '1GB'
autovacuum = off
max_connections = 20
max_locks_per_transaction = {locks}
shared_buffers = '128MB'
maintenance_work_mem = '128MB'
dynamic_shared_memory_type = mmap
client_connection_check_interval = '1s'
log_timezone = 'UTC'
timezone = 'UTC'
"""


@contextmanager
def throwaway(request: ScratchRequest) -> Iterator[Connection]:
    """A connection to an empty database. Raises BackupError(code="no_scratch") where no server can be started."""
    major = major_of(str(request.manifest.get("server_version", "")))
    server = pick_server(request.settings, at_least=major)
    user = _user()
    folder = _folder(request)
    _require_room(folder.parent, request.manifest)
    _make(folder)
    try:
        if user is not None:
            os.chown(folder, user.uid, user.gid)
        with _running(server, folder, user, request):
            connection = Connection(str(folder), PORT, SUPERUSER, "", "postgres")
            _make_asker(connection, request)
            _make_roles(connection, request)
            yield make(connection, PostgresOptions(), request)
    finally:
        remove(request)


def remove(request: ScratchRequest) -> None:
    """Ends what runs in the drill's folder, and removes it; nothing there is fine."""
    folder = _folder(request)
    until = time.monotonic() + READY_WITHIN_S
    while (running := _working_in(folder)) and time.monotonic() < until:
        for pid in running:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(POLL_S)
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        raise BackupError(f"{folder} could not be removed.", code="scratch_left", hint="Remove that folder by hand.")


def _folder(request: ScratchRequest) -> Path:
    base = Path(request.settings.get("drill_dir") or tempfile.gettempdir()).resolve()
    folder = base / f"{PREFIX}{named(request)}"
    if len(os.fsencode(f"{folder}/.s.PGSQL.{PORT}")) > LONGEST_SOCKET:
        raise no_scratch(f"The path {base} is too long for a socket.", "Set BACKUPSITE_DRILL_DIR to a shorter one.")
    return folder


def _working_in(folder: Path) -> list[int]:
    """Server processes stand in their data folder; the path is the drill's own, so nobody else's do."""
    data = str(folder / "data")
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):  # gone meanwhile, or another user's
            if entry.name.isdigit() and os.readlink(entry / "cwd").removesuffix(" (deleted)") == data:
                found.append(int(entry.name))
    return found


def _require_room(base: Path, manifest: Mapping[str, Any]) -> None:
    needed = int(manifest.get("database_size") or manifest.get("tables_size") or 0) + ROOM
    try:
        free = shutil.disk_usage(base).free
    except OSError as error:
        raise no_scratch(f"{base}: {error.strerror}.", "Set BACKUPSITE_DRILL_DIR to a folder that exists.") from error
    if free < needed:
        raise no_scratch(
            f"A throw-away server would need about {needed >> 20} MiB in {base}, and {free >> 20} MiB are free.",
            "Set BACKUPSITE_DRILL_DIR to a folder with more room, or name a drill server.",
            permanent=False,
        )


def _user() -> User | None:
    """PostgreSQL refuses to run as root: then it is an account's that has little else."""
    if os.geteuid() != 0:
        return None
    for name in ACCOUNTS:
        with suppress(KeyError):
            account = pwd.getpwnam(name)
            return User(account.pw_uid, account.pw_gid)
    raise no_scratch(
        "PostgreSQL does not run as root, and this host has no account postgres or nobody for it.",
        "Run the worker as another user, make such an account, or name a drill server.",
    )


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise no_scratch(f"{folder}: {error.strerror}.", "Set BACKUPSITE_DRILL_DIR to a writable folder.") from error


@contextmanager
def _running(server: Client, folder: Path, user: User | None, request: ScratchRequest) -> Iterator[None]:
    data = folder / "data"
    options = ["--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"]
    argv = [server.tool("initdb"), f"--pgdata={data}", f"--username={SUPERUSER}", *options]
    env = {"PATH": os.defpath, "HOME": str(folder), "LC_ALL": "C", "TZ": "UTC"}
    with start(Tool(argv=argv, env=env, user=user), guard=request.guard) as process, _told(request.guard):
        process.finish()
    _configure(folder, request.manifest)
    argv = [server.tool("postgres"), "-D", str(data)]
    # An immediate shutdown ends every session; there is nothing to be kept.
    tool = Tool(argv=argv, env=env, user=user, end_with=signal.SIGQUIT)
    with start(tool, guard=request.guard) as process:
        with _told(request.guard):
            _wait_until_ready(process, folder, request)
        yield


@contextmanager
def _told(guard: Guard) -> Iterator[None]:
    try:
        yield
    except BackupError as error:
        guard.check()
        raise no_scratch(
            f"No throw-away server could be started: {error.message}", "Name a drill server, or mend this."
        ) from error


def _configure(folder: Path, manifest: Mapping[str, Any]) -> None:
    objects = int(manifest.get("relations") or 0) + int(manifest.get("large_objects") or 0)
    socket = str(folder).replace("\\", "\\\\").replace("'", "''")
    text = SETTINGS.format(socket=socket, port=PORT, locks=min(max(256, objects // 10), 1 << 20))
    with (folder / "data" / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write(text)
    (folder / "data" / "pg_hba.conf").write_text("local all all trust\n", encoding="utf-8")


def _wait_until_ready(process: Process, folder: Path, request: ScratchRequest) -> None:
    until = time.monotonic() + READY_WITHIN_S
    connection = Connection(str(folder), PORT, SUPERUSER, "", "postgres")
    while True:
        request.guard.check()
        if process.ended():
            raise process.failure(process.status)
        try:
            with login(connection, PostgresOptions()) as who, connect(who, guard=request.guard):
                return
        except BackupError:
            if time.monotonic() > until:
                raise
        time.sleep(POLL_S)


def asker(connection: Connection) -> Connection:
    """To the same database, as somebody who reads all rows of it and nothing else."""
    return replace(connection, username=ASKER)


def _make_asker(connection: Connection, request: ScratchRequest) -> None:
    with login(connection, PostgresOptions()) as who, connect(who, guard=request.guard) as session:
        session.run(f"CREATE ROLE {ASKER} LOGIN BYPASSRLS IN ROLE pg_read_all_data")


def _make_roles(connection: Connection, request: ScratchRequest) -> None:
    """The owners and grantees of the backup, so that it comes back as it was; none of them can log in."""
    with login(connection, PostgresOptions()) as who, connect(who, guard=request.guard) as session:
        for role in request.manifest.get("roles") or ():
            if not session.value("SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = %s)", [role]):
                session.run(session.value("SELECT format('CREATE ROLE %%I', %s)", [role]))
