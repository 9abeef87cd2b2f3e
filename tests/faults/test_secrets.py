"""No secret in a command line, an environment, a log, an error, an answer, a history or a file."""

import json
import sqlite3
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Self

import psutil
import psycopg2
import pytest

from tests.live import TOOLS, Live, id_of, live, until
from tests.servers.postgres import PostgresServer
from tests.servers.s3 import S3Server

pytestmark = [pytest.mark.slow]

CANARY = 'c4nary-p:ss\\w\'rd "x" é'
WRONG = "wr0ng-c4nary-secret"
KEY = "-----BEGIN PRIVATE KEY-----\nc4naryPrivateKeyBytes\n-----END PRIVATE KEY-----"
CERTIFICATE = KEY.replace("PRIVATE KEY", "CERTIFICATE").replace("c4nary", "")
MARKS = ("c4nary", "wr0ng")


class Watcher:
    """Looks at every process's command line and at the environment of every tool, all the time."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.tools: set[tuple[str, str]] = set()  # name, and one word of what it does
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        own = psutil.Process().pid
        while not self._stop.is_set():
            for process in psutil.process_iter(["name"]):
                if process.pid != own:
                    with suppress(psutil.Error):
                        self._look(process)
            time.sleep(0.002)

    def _look(self, process: psutil.Process) -> None:
        argv = " ".join(process.cmdline())
        shown = argv
        if process.info["name"] in TOOLS:
            self.tools.add((process.info["name"], "plain" if "--format=plain" in argv else "custom"))
            shown += json.dumps(process.environ())
        self.seen |= {f"{process.info['name']}: {mark}" for mark in MARKS if mark in shown}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, postgres18: PostgresServer) -> Iterator[Live]:
    """Logs as JSON: they hold all that the console's do, and the fields of each record."""
    unique = token_hex(4)
    user, names = f"user_{unique}", [f"secrets_{unique}_{name}" for name in ("source", "target")]
    with ExitStack() as stack:
        postgres18.psql(f"CREATE ROLE {user} SUPERUSER LOGIN PASSWORD {quoted(CANARY)}")
        stack.callback(postgres18.psql, f"DROP ROLE {user}")
        for name in names:
            postgres18.create_database(name)
            stack.callback(postgres18.drop_database, name)
        postgres18.psql("CREATE TABLE item AS SELECT n, md5(n::text) FROM generate_series(1, 300000) n", names[0])
        settings = {"BACKUPSITE_LOG_FORMAT": "json", "BACKUPSITE_MAX_ATTEMPTS": "1"}
        found = stack.enter_context(live(tmp_path_factory.mktemp("secrets"), postgres18, **settings))
        account = {"username": user, "password": CANARY}
        found.add_database("custom", names[0], **account)
        found.add_database("plain", names[0], options={"format": "plain"}, **account)
        found.add_database("target", names[1], **account)
        yield found


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def test_no_process_shows_a_password(site: Live) -> None:
    with Watcher() as watcher:
        for pk in ("custom", "plain"):
            backup = site.back_up(pk)
            assert site.until(backup)["status"] == "completed"
            assert site.until(site.verify(backup))["status"] == "completed"
            assert site.until(site.restore(backup, "target", drop_existing=True))["status"] == "completed"
    assert {name for name, _ in watcher.tools} == set(TOOLS)
    assert ("pg_dump", "plain") in watcher.tools
    assert watcher.seen == set()
    assert list(site.temporary.glob("backupsite-pg-*")) == []


def fail_in_every_way(site: Live, bucket: str, store: S3Server) -> list[str]:
    """Wrong passwords, keys and servers; the paths of the jobs that failed."""
    ((name, user),) = site.rows("SELECT database_name, username FROM databases_database WHERE id = 'custom'")
    account = {"username": user, "password": WRONG}
    site.add_database("wrong", name, **account)
    site.add_database("away", name, port=1, **account)
    site.add_database(
        "untrusted", name, options={"sslmode": "verify-full", "sslkey": KEY, "sslcert": CERTIFICATE}, **account
    )
    site.add_database("gone", "no_such_database", username=user, password=CANARY)
    body = {"id": "refused", "name": "refused", "kind": "s3", "bucket": bucket, "region": "us-east-1"}
    keys = {"access_key": store.access_key, "secret_key": WRONG, "addressing": "path"}
    site.client.post("/api/destinations", {**body, **keys, "endpoint_url": store.endpoint_url})
    site.add_database("nowhere", name, destination="refused", username=user, password=CANARY)
    site.add_bucket_database("locked", store, bucket, secret_key=WRONG)
    site.add_bucket_database("no-bucket", store, "no-such-bucket-here")
    jobs = [site.back_up(pk) for pk in ("wrong", "away", "untrusted", "gone", "nowhere", "locked", "no-bucket")]
    good = site.back_up("custom")
    assert site.until(good)["status"] == "completed"
    jobs += [site.restore(good, "wrong"), site.restore(good, "custom")]  # the second one is not empty
    for path in jobs:
        assert site.until(path)["status"] == "failed", path
    return jobs


def answers(site: Live, path: str) -> str:
    """The body, whatever the status, and what headers say."""
    request = urllib.request.Request(
        site.site.url + path, headers={"Authorization": f"Bearer {site.client._token}", "Accept": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return f"{answer.headers}{answer.read().decode()}"
    except urllib.error.HTTPError as error:
        with error:
            return f"{error.headers}{error.read().decode()}"


def problems(site: Live) -> str:
    """What the API says of requests that are refused although, or because, they hold a secret."""
    said = []
    bodies = (
        {"id": "wrong", "name": "again", "engine": "postgres", "password": WRONG, "host": "h", "database_name": "d"},
        {"id": "x y", "name": "", "engine": "postgres", "password": WRONG, "options": {"sslkey": KEY, "sslmode": 1}},
        {"id": "broken", "name": "x", "engine": "nothing", "password": [WRONG]},
    )
    for body in bodies:
        with pytest.raises(Exception, match=r"POST") as refused:
            site.client.post("/api/databases", body)
        said.append(str(refused.value))
    return "\n".join(said)


def everything_shown(site: Live, jobs: list[str]) -> Iterator[tuple[str, str]]:
    """Where it was found, and the text."""
    lists = ("databases", "destinations", "backups", "restores", "verifications")
    for path in [f"/api/{name}" for name in lists] + jobs + [f"{path}/log" for path in jobs if "backups" in path]:
        yield path, answers(site, path)
    for (pk,) in site.rows("SELECT id FROM databases_database"):
        yield f"{pk} checked", json.dumps(site.client.post(f"/api/databases/{pk}/check"))
        yield f"{pk} inventory", answers(site, f"/api/databases/{pk}/inventory")
    yield "destination checked", json.dumps(site.client.post("/api/destinations/refused/check"))
    yield "problems", problems(site)
    yield "log", site.log
    with closing(sqlite3.connect(site.data / "backupsite.sqlite3")) as rows:
        yield "dump of the site's database", "\n".join(rows.iterdump())
    for file in files(site):
        yield str(file), file.read_bytes().decode("utf-8", "replace")


def files(site: Live) -> list[Path]:
    return [path for folder in (site.data, site.disk, site.temporary) for path in folder.rglob("*") if path.is_file()]


def test_no_secret_is_written_or_told_after_any_failure(site: Live, s3: S3Server, s3_bucket: str) -> None:
    jobs = fail_in_every_way(site, s3_bucket, s3)
    marks = (*MARKS, s3.secret_key)
    found = [(where, mark) for where, text in everything_shown(site, jobs) for mark in marks if mark in text]
    assert found == []
    assert site.rows("SELECT count(*) FROM notifications_event WHERE severity = 'error'")[0][0] >= len(jobs)
    for line in site.log.splitlines():
        assert line.startswith(("First admin: ", "{")), line


@contextmanager
def locked(server: PostgresServer, dbname: str) -> Iterator[None]:
    with closing(psycopg2.connect(server.dsn(dbname))) as session, session.cursor() as cursor:
        cursor.execute("LOCK TABLE item IN ACCESS EXCLUSIVE MODE")
        yield


def test_what_a_killed_run_left_in_the_temporary_folder_goes_with_the_next(site: Live) -> None:
    name = site.rows("SELECT database_name FROM databases_database WHERE id = 'custom'")[0][0]
    with locked(site.server, name):
        path = site.back_up("custom")
        site.until(path, "in_progress")
        until(lambda: list(site.temporary.glob("backupsite-pg-*")))
        for process in site.pool(id_of(path)):
            process.kill()
    assert site.until(path)["status"] == "failed"
    assert site.until(site.back_up("custom"))["status"] == "completed"
    assert list(site.temporary.glob("backupsite-pg-*")) == []
