"""A throw-away PostgreSQL of any version from 14 to 18: real passwords, no durability, gone when the context ends."""

import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import Signals

from tests.servers.fetch import postgres_bin
from tests.servers.process import ServerError, free_port, running
from tests.servers.tls import TlsFiles, make_tls_files

CERTIFICATE_ROLE = "certified"  # with TLS on: logs in by client certificate only

_SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
password_encryption = 'scram-sha-256'
max_connections = 60
shared_buffers = '64MB'
fsync = off
synchronous_commit = off
full_page_writes = off
max_wal_size = '2GB'
timezone = 'UTC'
"""


@dataclass(frozen=True)
class PostgresServer:
    """A running server. `user` is its superuser; every connection over TCP needs the password (scram-sha-256)."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    version: int
    bin_dir: Path
    pid: int
    tls: TlsFiles | None = None

    def dsn(self, dbname: str = "postgres") -> str:
        """A URL that libpq, psycopg2 and DATABASE_URL understand."""
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/{dbname}"

    def environment(self) -> dict[str, str]:
        """libpq's variables for a client process, together with the PATH of this version's clients."""
        return {
            "PATH": f"{self.bin_dir}:{os.environ['PATH']}",
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
        }

    def psql(self, sql: str, dbname: str = "postgres") -> str:
        """Runs SQL, stops at the first error, returns unaligned tuples without the last newline."""
        done = subprocess.run(
            [self.bin_dir / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", dbname],
            input=sql,
            check=False,
            env=self.environment(),
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise ServerError(f"psql on {dbname}: {done.stderr.strip()}")
        return done.stdout.removesuffix("\n")

    def create_database(self, name: str) -> None:
        self.psql(f"CREATE DATABASE {_quoted(name)}")

    def drop_database(self, name: str) -> None:
        """Drops it with whoever is connected; a database that is gone is fine."""
        self.psql(f"DROP DATABASE IF EXISTS {_quoted(name)} WITH (FORCE)")

    def stop(self) -> None:
        """Ends the server at once, in the middle of a test that needs it gone. Leaving the context is fine after it."""
        os.kill(self.pid, Signals.SIGQUIT)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@contextmanager
def start_postgres(version: int, folder: Path, *, ssl: bool = False) -> Iterator[PostgresServer]:
    """Starts PostgreSQL `version` (14 to 18) with its data in `folder`, which is removed at the end.

    As root the server runs as another user, since it refuses root. With `ssl`, `tls` holds the authority and a
    client certificate for the role `certified`. Raises Missing (cannot be fetched) or ServerError (does not start).
    """
    bin_dir = postgres_bin(version)
    folder.mkdir(parents=True, exist_ok=False)
    password, port = secrets.token_urlsafe(18), free_port()
    try:
        tls = make_tls_files(folder / "tls", client=CERTIFICATE_ROLE) if ssl else None
        setpriv = _other_user(folder)
        _initialise(bin_dir, folder, password, setpriv)
        _configure(folder, port, tls)
        _hand_over(folder)

        def ready() -> bool:
            probe = [str(bin_dir / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port), "-t", "1"]
            return subprocess.run(probe, check=False).returncode == 0

        command = [str(bin_dir / "postgres"), "-D", str(folder / "data")]
        with running(
            command,
            log=folder / "log",
            ready=ready,
            stop_with=Signals.SIGINT,
            setpriv=setpriv,
            env=_environment(folder),
        ) as process:
            server = PostgresServer("127.0.0.1", port, "postgres", password, version, bin_dir, process.pid, tls)
            if ssl:
                server.psql(f"CREATE ROLE {CERTIFICATE_ROLE} SUPERUSER LOGIN")
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _environment(folder: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C", "TZ": "UTC"}


def _owner() -> pwd.struct_passwd | None:
    """The user the server runs as, None for ourselves."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]


def _other_user(folder: Path) -> tuple[str, ...]:
    """setpriv's options to become the server's user; that user then owns `folder`."""
    owner = _owner()
    if owner is None:
        return ()
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    # The capability lets it reach a checkout or a temporary folder that is closed to other users (mode 0700); without
    # the secure bit access(2), by which initdb looks for its binaries, would not count it.
    return (
        f"--reuid={owner.pw_uid}",
        f"--regid={owner.pw_gid}",
        "--clear-groups",
        "--securebits=+no_setuid_fixup",
        "--inh-caps=+dac_override",
        "--ambient-caps=+dac_override",
    )


def _hand_over(folder: Path) -> None:
    owner = _owner()
    if owner is not None:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, owner.pw_uid, owner.pw_gid)


def _initialise(bin_dir: Path, folder: Path, password: str, setpriv: tuple[str, ...]) -> None:
    secret = folder / "password"
    secret.write_text(password)
    command = [str(bin_dir / "initdb"), "-D", str(folder / "data"), "--username=postgres", f"--pwfile={secret}"]
    options = ["--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync"]
    done = subprocess.run(
        ["setpriv", *setpriv, "--pdeathsig", "KILL", *command, *options],
        check=False,
        capture_output=True,
        text=True,
        env=_environment(folder),
    )
    if done.returncode:
        raise ServerError(f"initdb {bin_dir}: {done.stderr.strip()}")
    secret.unlink()


def _configure(folder: Path, port: int, tls: TlsFiles | None) -> None:
    settings = f"{_SETTINGS}port = {port}\n"
    access = ["host all all 127.0.0.1/32 scram-sha-256"]
    if tls:
        settings += f"ssl = on\nssl_ca_file = '{tls.ca}'\n"
        settings += f"ssl_cert_file = '{tls.server_cert}'\nssl_key_file = '{tls.server_key}'\n"
        access.insert(0, f"hostssl all {CERTIFICATE_ROLE} 127.0.0.1/32 cert")
    with (folder / "data" / "postgresql.conf").open("a") as config:
        config.write(settings)
    (folder / "data" / "pg_hba.conf").write_text("\n".join(access) + "\n")
