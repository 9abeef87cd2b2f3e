"""A throw-away MongoDB: a replica set of one member with authentication on, gone when the context ends."""

import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymongo
from pymongo.errors import PyMongoError

from tests.servers.mongodb_programs import mongo_tools, mongod
from tests.servers.process import MONGODB_PORTS, ServerError, answers, free_port, running
from tests.servers.tls import TlsFiles, make_tls_files

CERTIFICATE_USER = "certified"  # with TLS on: the common name of the client certificate
REPLICA_SET = "rs0"

Client = pymongo.MongoClient[dict[str, Any]]


@dataclass(frozen=True)
class MongoServer:
    """A running server. `user` is its root user, in `admin`; nobody gets in without a password."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    version: str
    tools_dir: Path
    pid: int
    tls: TlsFiles | None = None

    def client(self, **options: Any) -> Client:
        """As the root user; the caller closes it."""
        return _client(self.port, self.tls, **{"username": self.user, "password": self.password, **options})

    def uri(self, path: str = "/?authSource=admin") -> str:
        return f"mongodb://{self.user}:{self.password}@{self.host}:{self.port}{path}"

    def create_user(self, name: str, password: str, roles: list[Any]) -> None:
        """In `admin`; one that exists is replaced."""
        with self.client() as client:
            known = client.admin.command("usersInfo", name)["users"]
            client.admin.command("updateUser" if known else "createUser", name, pwd=password, roles=roles)

    def drop_user(self, name: str) -> None:
        with self.client() as client:
            client.admin.command("dropUser", name)

    def drop_database(self, name: str) -> None:
        """A database that is gone is fine."""
        with self.client() as client:
            client.drop_database(name)


@contextmanager
def start_mongodb(folder: Path, *, ssl: bool = False) -> Iterator[MongoServer]:
    """Starts MongoDB with its data in `folder`, which is removed at the end.

    With `ssl` it accepts TLS only and asks for a client certificate of `tls.ca`, which may be left out. Raises Missing
    (cannot be fetched) or ServerError (does not start).
    """
    program, tools_dir = mongod(), mongo_tools()
    (folder / "data").mkdir(parents=True)
    try:
        tls = make_tls_files(folder / "tls", client=CERTIFICATE_USER) if ssl else None
        port, password = free_port(ports=MONGODB_PORTS), secrets.token_urlsafe(18)
        command = _command(program, folder, port, tls)
        with running(command, log=folder / "log", ready=lambda: answers(port), env=_environment()) as process:
            _initiate(port, tls, password)
            yield MongoServer("127.0.0.1", port, "root", password, version_of(program), tools_dir, process.pid, tls)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def version_of(program: Path) -> str:
    """`6.0.5`. Raises ServerError when it does not run."""
    done = subprocess.run([str(program), "--version"], check=False, capture_output=True, text=True)
    found = re.search(r"v(\d+\.\d+\.\d+)", done.stdout)
    if found is None:
        raise ServerError(f"{program} --version: {done.stdout}{done.stderr}")
    return found[1]


def _environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC"}


def _command(program: Path, folder: Path, port: int, tls: TlsFiles | None) -> list[str]:
    key = folder / "key"
    key.touch(mode=0o600)
    key.write_text(secrets.token_hex(64))
    command = [str(program), "--dbpath", str(folder / "data"), "--bind_ip", "127.0.0.1", "--port", str(port)]
    command += ["--replSet", REPLICA_SET, "--keyFile", str(key), "--nounixsocket"]
    command += ["--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "128"]
    command += ["--setParameter", "diagnosticDataCollectionEnabled=false", "--setParameter", "ttlMonitorEnabled=false"]
    if tls:
        both = folder / "tls" / "server.pem"
        both.touch(mode=0o600)
        both.write_bytes(tls.server_cert.read_bytes() + tls.server_key.read_bytes())
        command += ["--tlsMode", "requireTLS", "--tlsCertificateKeyFile", str(both), "--tlsCAFile", str(tls.ca)]
        command += ["--tlsAllowConnectionsWithoutCertificates"]
    return command


def _client(port: int, tls: TlsFiles | None, **options: Any) -> Client:
    if tls:
        options |= {"tls": True, "tlsCAFile": str(tls.ca)}
    return pymongo.MongoClient(
        "127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=15000, tz_aware=True, **options
    )


def _initiate(port: int, tls: TlsFiles | None, password: str) -> None:
    """Over the localhost exception, which ends with the first user. The client is new after each step on purpose."""
    try:
        with _client(port, tls) as client:
            member = {"_id": 0, "host": f"127.0.0.1:{port}"}
            settings = {"_id": REPLICA_SET, "members": [member], "writeConcernMajorityJournalDefault": False}
            client.admin.command("replSetInitiate", settings)  # nobody waits for the disk
        with _client(port, tls) as client:
            while not client.admin.command("hello")["isWritablePrimary"]:
                pass
            client.admin.command("createUser", "root", pwd=password, roles=["root"])
    except PyMongoError as error:
        raise ServerError(f"MongoDB did not become a replica set: {error}") from error
