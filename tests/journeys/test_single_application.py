"""A site that was described by environment alone, and the calls that such services usually get."""

import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from demo.client import Client
from demo.site import Site, running_site
from tests.live import until
from tests.prepared import QUICK, prepare
from tests.servers.postgres import PostgresServer
from tests.servers.process import ServerError
from tests.servers.s3 import S3Server

pytestmark = [pytest.mark.slow]
IMAGES = 12


@pytest.fixture
def application(
    postgres: Callable[[int], PostgresServer], fresh_database: Callable[[PostgresServer], str]
) -> dict[str, str]:
    server = postgres(18)
    name = fresh_database(server)
    server.psql("CREATE TABLE item AS SELECT n FROM generate_series(1, 1000) n", name)
    return {
        "DB_HOST": server.host,
        "DB_PORT": str(server.port),
        "DB_NAME": name,
        "DB_USER": server.user,
        "DB_PASSWORD": server.password,
        "PG_BIN": str(server.bin_dir),
    }


@contextmanager
def serving(folder: Path, application: dict[str, str], **env: str) -> Iterator[tuple[Site, Client]]:
    given = {name: text for name, text in application.items() if name != "PG_BIN"}
    prepare(folder / "data")
    with running_site(folder, pg_bin_dir=Path(application["PG_BIN"]), env={**QUICK, **given, **env}) as site:
        yield site, site.login()


def test_one_call_backs_up_database_and_images(
    tmp_path: Path, application: dict[str, str], s3: S3Server, s3_bucket: str
) -> None:
    store = s3.client()
    for number in range(IMAGES):
        store.put_object(Bucket=s3_bucket, Key=f"images/{number}.png", Body=b"\x89PNG" * 500)
    env = {
        "AWS_ACCESS_KEY": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret_key,
        "AWS_REGION": s3.region,
        "AWS_BUCKET_NAME": s3_bucket,
        "AWS_ENDPOINT_URL": s3.endpoint_url,
        "BACKUP_DIR": str(tmp_path / "backups"),
        "ENABLE_DAILY_BACKUP": "true",
        "TZ": "Europe/Madrid",
    }
    with serving(tmp_path, application, **env) as (site, client):
        assert client.get("/api/databases/database")["next_run_at"] is not None
        answer = client.post("/api/backup/trigger?wait=60")
        assert (answer["success"], answer["message"]) == (True, "Backup completed"), answer
        assert len(answer["backups"]) == 2
        status = client.get("/api/backup/status")
        assert (status["totalBackups"], status["retentionDays"]) == (2, 30)
        [today] = status["backupGroups"].values()
        assert {item["type"] for item in today} == {"database", "images"}
        for item in today:
            assert (tmp_path / "backups" / item["key"]).stat().st_size == item["size"]
        log = site.log.read_text()
    for told in (f"found {IMAGES} objects: {IMAGES} downloaded", "dumping to database/", "stored ", "completed in "):
        assert told in log
    assert application["DB_PASSWORD"] not in log
    assert s3.secret_key not in log


def test_the_usual_calls_of_such_services_work(tmp_path: Path, application: dict[str, str]) -> None:
    with serving(tmp_path, {"PG_BIN": application["PG_BIN"]}) as (site, client):
        for packages, prefix in enumerate(("", "/api")):
            work(site, client, application, prefix, packages)


def work(site: Site, client: Client, application: dict[str, str], prefix: str, packages: int) -> None:
    """`packages` are there before."""
    database = client.post(
        f"{prefix}/databases",
        {
            "name": f"shop {packages}",
            "engine": "postgres",
            "host": application["DB_HOST"],
            "port": int(application["DB_PORT"]),
            "username": application["DB_USER"],
            "password": application["DB_PASSWORD"],
            "database_name": application["DB_NAME"],
        },
    )
    identifier = database["id"]
    asked = client.post(f"{prefix}/backups", {"database_id": identifier, "type": "full"})
    assert asked["backup_id"] == asked["id"]
    ended = until(lambda: ended_of(client, f"{prefix}/backups/{asked['id']}"), seconds=60)
    assert ended["status"] == "completed", ended["error"]
    assert client.get(f"{prefix}/backups/{identifier}/last")["id"] == asked["id"]

    changed = client.call("PATCH", f"{prefix}/databases/{identifier}", {"schedule": "0 2 * * *", "retention_days": 7})
    assert changed["next_run_at"].endswith("T02:00:00Z")
    assert changed["effective"]["retention_days"] == 7
    changed = client.call("PATCH", f"{prefix}/databases/{identifier}", {"schedule": None})
    assert changed["next_run_at"] is None

    client.call("PATCH", f"{prefix}/databases/{identifier}", {"package": True})
    assert client.get(f"{prefix}/packages")["count"] == packages
    package = client.post(f"{prefix}/packages/create")
    done = until(lambda: ended_of(client, f"{prefix}/packages/{package['id']}"), seconds=60)
    assert done["status"] == "completed", done["error"]
    assert client.get(f"{prefix}/packages")["count"] == packages + 1

    assert f'backupsite_database_backups{{database="{identifier}",status="completed"}} 1.0' in metrics_of(
        site, client, prefix
    )


def ended_of(client: Client, path: str) -> Any:
    job = client.get(path)
    return job if job["status"] in ("completed", "failed", "cancelled") else None


def metrics_of(site: Site, client: Client, prefix: str) -> str:
    """With the same bearer token as every other call."""
    header = {"Authorization": f"Bearer {client._token}"}
    with urllib.request.urlopen(
        urllib.request.Request(f"{site.url}{prefix}/metrics", headers=header), timeout=30
    ) as answer:
        text: str = answer.read().decode()
    return text


def test_a_fault_in_the_environment_is_told_before_anything_starts(tmp_path: Path, application: dict[str, str]) -> None:
    with (
        pytest.raises(ServerError, match="DB_PORT: A whole number is wanted"),
        serving(tmp_path, {**application, "DB_PORT": "x"}),
    ):
        pass
