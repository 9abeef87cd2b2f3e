"""The same journey with PostgreSQL as the site's database and Redis as its broker, every role running twice."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from cryptography.fernet import Fernet

from demo.client import ApiError, Client
from tests.live import busy
from tests.prepared import QUICK
from tests.servers.fetch import REPOSITORY
from tests.servers.postgres import PostgresServer
from tests.servers.process import free_port, running
from tests.servers.redis import RedisServer
from tests.servers.s3 import S3Server

pytestmark = pytest.mark.slow

Fresh = Callable[[PostgresServer], str]
PASSWORD = "a long passphrase for the test"


class Cluster:
    """Two hosts as far as the processes can tell: a data folder each, everything else shared."""

    def __init__(self, folder: Path, site: str, database_url: str, broker_url: str, clients: Path) -> None:
        self.folder, self.site = folder, site
        self.ports = (free_port(), free_port())
        self.shared = {
            "PATH": os.environ["PATH"],
            **QUICK,
            "DATABASE_URL": database_url,
            "BROKER_URL": broker_url,
            "BACKUPSITE_SECRET_KEY": "s" * 60,
            "BACKUPSITE_JWT_KEY": "j" * 60,
            "BACKUPSITE_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            "BACKUPSITE_ADMIN_PASSWORD": PASSWORD,
            "BACKUPSITE_PG_BIN_DIRS": str(clients),
        }

    def start(self, stack: ExitStack, host: int, roles: str, *, ready: Callable[[], bool]) -> None:
        environment = {
            **self.shared,
            "BACKUPSITE_DATA_DIR": str(self.folder / f"host{host}"),
            "BACKUPSITE_PORT": str(self.ports[host]),
        }
        command = [sys.executable, str(REPOSITORY / "manage.py"), "serve", "--workers", "1", "--only", roles]
        log = self.folder / f"{host}-{roles}.log"
        stack.enter_context(running(command, log=log, ready=ready, env=environment, timeout=90))

    @property
    def logs(self) -> str:
        return "".join(log.read_text() for log in self.folder.glob("*.log"))

    def client(self, host: int) -> Client:
        return Client(f"http://127.0.0.1:{self.ports[host]}", "admin", PASSWORD)

    def answers(self, host: int) -> bool:
        try:
            self.client(host)
        except ApiError:
            return False
        return True


@pytest.fixture
def cluster(
    tmp_path: Path,
    postgres: Callable[[int], PostgresServer],
    fresh_database: Fresh,
    redis_server: RedisServer,
) -> Iterator[Cluster]:
    server = postgres(18)
    site = fresh_database(server)
    cluster = Cluster(tmp_path, site, server.dsn(site), redis_server.url(7), server.bin_dir)
    with ExitStack() as stack:
        for host in (0, 1):
            cluster.start(stack, host, "web", ready=partial(cluster.answers, host))
        for host in (0, 1):
            cluster.start(stack, host, "worker", ready=partial(are_seen, server, site, "worker", host + 1))
            cluster.start(stack, host, "beat,sweeper", ready=lambda: bool(seen(server, site, "sweeper")))
        yield cluster


def are_seen(server: PostgresServer, site: str, role: str, count: int) -> bool:
    return len(seen(server, site, role)) == count


def seen(server: PostgresServer, site: str, role: str) -> list[str]:
    """Names of the processes of a role that the site has heard of."""
    return server.psql(f"SELECT name FROM jobs_process WHERE role = '{role}' ORDER BY name", site).split()


def until_ended(client: Client, path: str, *, seconds: float = 60) -> dict[str, Any]:
    deadline = time.monotonic() + seconds * busy()
    while (job := client.get(path))["status"] in ("scheduled", "pending", "in_progress"):
        assert time.monotonic() < deadline, job
        time.sleep(0.1)
    return dict(job)


def wait_for(found: Callable[[], list[str]], *, seconds: float = 90) -> list[str]:
    deadline = time.monotonic() + seconds * busy()
    while not (names := found()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return names


def test_a_database_goes_out_through_one_host_and_back_through_the_other_and_the_standby_takes_over(
    cluster: Cluster,
    postgres: Callable[[int], PostgresServer],
    fresh_database: Fresh,
    redis_server: RedisServer,
    s3: S3Server,
    s3_bucket: str,
) -> None:
    server = postgres(18)
    names = {"shop": fresh_database(server), "copy": fresh_database(server)}
    server.psql("CREATE TABLE t AS SELECT n, md5(n::text) FROM generate_series(1, 20000) n", names["shop"])
    first, second = cluster.client(0), cluster.client(1)
    first.post(
        "/api/destinations",
        {
            "id": "store",
            "name": "Store",
            "kind": "s3",
            "bucket": s3_bucket,
            "endpoint_url": s3.endpoint_url,
            "region": "us-east-1",
            "access_key": s3.access_key,
            "secret_key": s3.secret_key,
            "addressing": "path",
            "is_default": True,
        },
    )
    for pk, name in names.items():
        body = {"id": pk, "name": pk, "engine": "postgres", "host": server.host, "port": server.port}
        account = {"username": server.user, "password": server.password, "database_name": name}
        first.post("/api/databases", {**body, **account})
    # More than one worker can hold: both have to work.
    asked = [first.post("/api/backups", {"database_id": pk})["id"] for pk in ("shop", "copy") for _ in range(4)]
    ended = [until_ended(second, f"/api/backups/{pk}") for pk in asked]
    assert [job["status"] for job in ended] == ["completed"] * 8

    assert second.post(f"/api/backups/{asked[0]}/verify")["status"] in ("pending", "in_progress", "completed")
    restore = second.post(f"/api/backups/{asked[0]}/restore", {"target_database_id": "copy", "confirm": "copy"})
    assert until_ended(first, f"/api/restores/{restore['id']}")["status"] == "completed"
    query = "SELECT count(*), md5(string_agg(t::text, '|' ORDER BY n)) FROM t"
    assert server.psql(query, names["copy"]) == server.psql(query, names["shop"])

    people_are_kept(cluster)
    the_standby_beat_takes_over(cluster, server)
    assert server.password not in cluster.logs
    assert redis_server.password not in cluster.logs


PEOPLE = """
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from backupsite.users import save_user
User.objects.filter(username="admin").update(is_active=False)
person = dict(first_name="", last_name="", email="", is_active=True, password="a long enough phrase")
ada = save_user(user=User(), values=dict(person, username="ada", role="admin"))
bob = save_user(user=User(), values=dict(person, username="bob", role="viewer"))
try:
    save_user(user=ada, values=dict(person, username="ada", role="viewer"))
except ValidationError as fault:
    print(fault.message_dict["role"][0])
"""


def people_are_kept(cluster: Cluster) -> None:
    """In PostgreSQL too the last admin stays one."""
    command = [sys.executable, str(REPOSITORY / "manage.py"), "shell", "-v", "0", "-c", PEOPLE]
    env = {**cluster.shared, "BACKUPSITE_DATA_DIR": str(cluster.folder / "host0")}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "only active admin" in done.stdout


def the_standby_beat_takes_over(cluster: Cluster, server: PostgresServer) -> None:
    ringing = wait_for(lambda: seen(server, cluster.site, "beat"))
    assert len(ringing) == 1
    pid = int(ringing[0].rpartition(":")[2])
    assert "beat" in " ".join(psutil.Process(pid).cmdline())
    psutil.Process(pid).kill()
    assert wait_for(lambda: [name for name in seen(server, cluster.site, "beat") if name not in ringing])
