"""A whole running site to attack: its processes, its rows, what it stored; killed and started again at will."""

import json
import os
import re
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from demo.client import Client
from demo.site import Site, running_site
from tests.prepared import QUICK, prepare
from tests.servers.postgres import PostgresServer
from tests.servers.process import free_port
from tests.servers.s3 import S3Server

LEASE_S = 6
SWEEP_S = 1
RESOLVED_WITHIN_S = LEASE_S + 20.0
TOOLS = ("pg_dump", "pg_restore", "psql")
ENDED = ("completed", "failed", "cancelled")


def busy() -> float:
    """How many times as long as alone something may take here now: what a limit in seconds is multiplied by."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def until(found: Callable[[], Any], *, seconds: float = 60.0, what: Callable[[], object] = str) -> Any:
    """The first true answer of `found`; fails with `what()` when there is none in time.

    `seconds` are those of a machine that does nothing else: on a busy one it waits as much longer.
    """
    began = time.monotonic()
    while not (answer := found()):
        assert time.monotonic() - began < seconds * busy(), f"not within {seconds} s: {what()}"
        time.sleep(0.05)
    return answer


class Live:
    """`manage.py serve` in `folder`, with a short lease, and its temporary files in a folder of its own."""

    def __init__(self, folder: Path, server: PostgresServer, **settings: str) -> None:
        self.folder, self.server = folder, server
        self.disk, self.temporary = folder / "disk", folder / "tmp"
        self.temporary.mkdir()
        self._port = free_port()
        self._settings = {
            # A process that gets no turn for a whole lease is lost; on a crowded machine that is not the test's doing.
            "BACKUPSITE_LEASE": str(round(LEASE_S * min(busy(), 3))),
            "BACKUPSITE_SWEEP_INTERVAL": str(SWEEP_S),
            "TMPDIR": str(self.temporary),
            **QUICK,
            **settings,
        }
        self._running = ExitStack()
        self.site: Site
        self.client: Client

    def start(self) -> None:
        prepare(self.data)
        self.site = self._running.enter_context(
            running_site(self.folder, pg_bin_dir=self.server.bin_dir, port=self._port, env=self._settings)
        )
        self.client = self.site.login()

    def stop(self) -> None:
        """In order, or what is left of it after a kill."""
        tree = self.tree()
        self._running.close()
        _, alive = psutil.wait_procs(tree, timeout=10)
        assert not alive

    def kill_host(self) -> None:
        """What a power cut does: every process at once."""
        for process in [psutil.Process(self.site.pid), *self.tree()]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._running.close()

    # Rows and logs

    @property
    def log(self) -> str:
        return self.site.log.read_text(errors="replace")

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.data / "backupsite.sqlite3", timeout=20)) as database:
            found = database.execute(sql, values).fetchall()
            database.commit()
        return found

    def hurry(self) -> None:
        """The pause before the next attempts is over."""
        for table in ("backups_backup", "backups_verification", "backups_drill", "packages_package"):
            self.rows(f"UPDATE {table} SET scheduled_at = created_at WHERE status = 'scheduled'")

    # Processes

    def tree(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.site.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def child(self, role: str) -> psutil.Process:
        """The supervised process of a role, by the supervisor's own word."""
        told = re.compile(rf"{role} started with pid (\d+)")
        pids: list[str] = until(lambda: told.findall(self.log), what=lambda: self.log)
        return psutil.Process(int(pids[-1]))

    def pool(self, *jobs: str) -> list[psutil.Process]:
        """The pool children that run these jobs."""
        marks = ",".join("?" * len(jobs))
        tables = ("backups_backup", "backups_restore", "backups_verification", "backups_drill", "packages_package")
        query = " UNION ".join(f"SELECT worker FROM {table} WHERE id IN ({marks})" for table in tables)
        return [psutil.Process(int(name.rpartition(":")[2])) for (name,) in self.rows(query, *jobs * len(tables))]

    def tools(self) -> list[psutil.Process]:
        """Running dump tools of this site."""
        return [process for process in self.tree() if _name(process) in TOOLS]

    # The API

    def add_disk(self, **values: object) -> None:
        body = {"id": "disk", "name": "disk", "kind": "local", "path": str(self.disk), "reserve_bytes": 0}
        self.client.post("/api/destinations", {**body, **values})

    def add_bucket(self, store: S3Server, bucket: str, *, port: int) -> None:
        """`port` is where the store is reached, through a gate say."""
        body = {"id": "bucket", "name": "bucket", "kind": "s3", "bucket": bucket, "region": "us-east-1"}
        keys = {"access_key": store.access_key, "secret_key": store.secret_key, "addressing": "path"}
        self.client.post("/api/destinations", {**body, **keys, "endpoint_url": f"http://127.0.0.1:{port}"})

    def add_database(self, pk: str, dbname: str, *, destination: str = "disk", **values: object) -> None:
        body = {
            "id": pk,
            "name": pk,
            "engine": "postgres",
            "host": self.server.host,
            "port": self.server.port,
            "username": self.server.user,
            "password": self.server.password,
            "database_name": dbname,
            "destinations": [destination],
            "schedule": None,
        }
        self.client.post("/api/databases", {**body, **values})

    def add_bucket_database(self, pk: str, store: S3Server, bucket: str, **options: object) -> None:
        body = {"id": pk, "name": pk, "engine": "s3", "options": bucket_options(store, bucket, **options)}
        self.client.post("/api/databases", {**body, "destinations": ["disk"], "schedule": None})

    def back_up(self, pk: str) -> str:
        """Asks for a backup; its path in the API."""
        return f"/api/backups/{self.client.post('/api/backups', {'database_id': pk})['id']}"

    def verify(self, backup: str) -> str:
        return f"/api/verifications/{self.client.post(f'{backup}/verify')['id']}"

    def drill(self, pk: str, **values: object) -> str:
        return f"/api/drills/{self.client.post(f'/api/databases/{pk}/drill', values)['id']}"

    def restore(self, backup: str, target: str, **values: object) -> str:
        body = {"target_database_id": target, "confirm": target, **values}
        return f"/api/restores/{self.client.post(f'{backup}/restore', body)['id']}"

    def until(self, path: str, *statuses: str, seconds: float = 90) -> dict[str, Any]:
        """The job when it has one of these statuses (any that ends it, when none is given)."""
        wanted = statuses or ENDED
        job: dict[str, Any] = {}

        def reached() -> bool:
            job.update(self.client.get(path))
            return job["status"] in wanted

        until(reached, seconds=seconds, what=lambda: f"{path} {wanted}: {json.dumps(job)}\n{self.log[-3000:]}")
        return job

    def until_phase(self, path: str, phase: str) -> None:
        until(
            lambda: (self.client.get(path)["progress"] or {}).get("phase") == phase,
            what=lambda: f"{path} {phase}: {self.client.get(path)}",
        )

    def stored(self) -> set[str]:
        """Names of all files on the disk destination, unfinished ones included."""
        files = {str(path.relative_to(self.disk)) for path in self.disk.rglob("*") if path.is_file()}
        return files - {".backupsite-destination"}


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.NoSuchProcess:
        return ""


def kill(processes: Sequence[psutil.Process], number: signal.Signals = signal.SIGKILL) -> None:
    for process in processes:
        with suppress(ProcessLookupError):  # it fell with one of the others
            os.kill(process.pid, number)


def bucket_options(store: S3Server, bucket: str, **options: object) -> dict[str, object]:
    """Of an s3 Database: where the bucket is and the keys, and `options` on top."""
    return {
        "bucket": bucket,
        "endpoint_url": store.endpoint_url,
        "region": store.region,
        "access_key": store.access_key,
        "secret_key": store.secret_key,
        "addressing": "path",
        **options,
    }


def id_of(path: str) -> str:
    return path.rpartition("/")[2]


@contextmanager
def live(folder: Path, server: PostgresServer, **settings: str) -> Iterator[Live]:
    """Started, with the disk destination; stopped at the end, and nothing of it left."""
    found = Live(folder, server, **settings)
    found.start()
    try:
        found.add_disk()
        yield found
    finally:
        found.stop()
