"""A site with a month behind it: real backups, restores and drills of real servers, and rows for the rest."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping

from demo.client import Client
from demo.site import REPOSITORY, Site
from tests.exports.events import Author
from tests.gate import Gate
from tests.live import until
from tests.servers.postgres import PostgresServer
from tests.servers.records import RecordsServer
from tests.servers.s3 import S3Server

MIB = 1 << 20
AUTHOR = Author("a reader of the shop")
SHOP = """
CREATE TABLE customers AS SELECT n AS id, 'customer ' || n AS name FROM generate_series(1, 40000) n;
CREATE TABLE orders AS SELECT n AS id, n % 40000 AS customer, now() - n * interval '1 min' AS at, md5(n::text) AS code
FROM generate_series(1, 300000) n;
CREATE TABLE products AS SELECT n AS id, 'product ' || n AS name FROM generate_series(1, 1200) n;
"""


def fill(
    site: Site, *, server: PostgresServer, store: S3Server, service: RecordsServer, slow: Gate, env: Mapping[str, str]
) -> dict[str, str]:
    """The addresses of its pages by name. What comes through `slow` hangs, so that something runs."""
    client = site.login()
    vault = {"name": "Vault in another town", "kind": "s3", "off_site": True, **_bucket(store, "vault")}
    client.post("/api/destinations", {"id": "vault", **vault})
    pages = _shop(client, server) | _images(client, store) | _rest(client, service)
    pages |= _rows(env) | _running(client, server, slow)
    until(lambda: client.get("/api/events?kind=backup.overdue")["count"], seconds=90)  # the sweeper's own finding
    return pages


def _shop(client: Client, server: PostgresServer) -> dict[str, str]:
    """A Database with two backups, a drill, a restore, a verification and a package; and one that cannot work."""
    for name in ("shop", "billing", "shop_copy"):
        server.create_database(name)
    for name in ("shop", "billing"):
        server.psql(SHOP, name)
    _add(client, server, "shop", "Webshop", destinations=["local", "vault"], package=True, schedule="30 3 * * *")
    _add(client, server, "billing", "Billing", package=True, schedule="0 */6 * * *")
    _add(client, server, "shop_copy", "Webshop, staging", pk="staging")
    _add(client, server, "archive", "Archive", schedule="0 5 * * 0")  # there is no such database
    failed = _run(client, "/api/backups", {"database_id": "archive"})
    _run(client, "/api/backups", {"database_id": "billing"})
    _run(client, "/api/backups", {"database_id": "shop"})
    server.psql("INSERT INTO orders SELECT n, 1, now(), md5(n::text) FROM generate_series(300001, 309000) n", "shop")
    backup = _run(client, "/api/backups", {"database_id": "shop"})
    one = f"/api/backups/{backup}"
    verified = _run(client, f"{one}/verify", {}, "/api/verifications")
    drill = _run(client, "/api/databases/shop/drill", {}, "/api/drills")
    package = _run(client, "/api/packages/create", {}, "/api/packages")
    over = {"target_database_id": "staging", "confirm": "staging"}
    restore = _run(client, f"{one}/restore", over, "/api/restores")
    page = f"/admin/backups/backup/{backup}"
    database = "/admin/databases/database/shop"
    return {
        **{f"database-{tab}": f"{database}/{tab}/" for tab in ("backups", "drills", "schedule", "changes")},
        "database": f"{database}/change/",
        "database-form": f"{database}/edit/",
        "database-clone": f"{database}/clone/",
        "engines": "/admin/databases/database/add/",
        "backup": f"{page}/change/",
        "backup-failed": f"/admin/backups/backup/{failed}/change/",
        "restore-wizard": f"{page}/restore/",
        "restore-confirm": f"{page}/restore/",
        "restore": f"/admin/backups/restore/{restore}/change/",
        "verification": f"/admin/backups/verification/{verified}/change/",
        "drill": f"/admin/backups/drill/{drill}/change/",
        "package": f"/admin/packages/package/{package}/change/",
    }


def _images(client: Client, store: S3Server) -> dict[str, str]:
    """A bucket with a chain of backups."""
    values = {"name": "Images", "engine": "s3", "options": _bucket(store, "images")}
    client.post("/api/databases", {"id": "images", "scheduled_type": "incremental", "schedule": "inherit", **values})
    api = store.client()
    for number in range(3):
        for name in range(20):
            api.put_object(Bucket="images", Key=f"{2024 + number}/photo-{name}.jpg", Body=os.urandom(30_000 + name))
        backup = _run(client, "/api/backups", {"database_id": "images", "type": "incremental"})
    return {
        "incremental": f"/admin/backups/backup/{backup}/change/",
        "bucket-form": "/admin/databases/database/images/edit/",
        "destination": "/admin/backups/destination/local/change/",
        "destination-s3": "/admin/backups/destination/vault/change/",
    }


def _rest(client: Client, service: RecordsServer) -> dict[str, str]:
    """A source of exports with data of one user, and keys of programs."""
    service.fill(f"posts-{AUTHOR.pubkey}", [{"id": number, "text": f"post {number}"} for number in range(250)])
    service.fill(f"drafts-{AUTHOR.pubkey}", [{"id": 1, "text": "a draft"}])
    options = {"url": f"{service.url}/list/{{collection}}-{{pubkey}}", "collection": "posts, drafts"}
    client.post("/api/export-sources", {"id": "posts", "name": "The posts", "kind": "http", "options": options})
    client.post("/api/keys", {"name": "Deployments", "role": "operator"})
    client.post("/api/keys", {"name": "Status page", "role": "viewer"})
    return {
        "source": "/admin/exports/source/posts/change/",
        "account": "/admin/account/",
        "second-factor": "/admin/account/second-factor/",
        "password": "/admin/account/password/",
    }


def _rows(env: Mapping[str, str]) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.browser.full_rows"],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], **env},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-2000:])
    pages: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return pages


def _running(client: Client, server: PostgresServer, slow: Gate) -> dict[str, str]:
    """A backup that stays where it is, as long as the gate is shut."""
    server.create_database("warehouse")
    server.psql(SHOP, "warehouse")
    _add(client, server, "warehouse", "Warehouse", port=slow.port)
    slow.shut(down=8 * MIB)
    running = client.post("/api/backups", {"database_id": "warehouse"})["id"]
    until(lambda: (client.get(f"/api/backups/{running}")["progress"] or {}).get("bytes_done"), seconds=60)
    return {"backup-running": f"/admin/backups/backup/{running}/change/"}


def _add(client: Client, server: PostgresServer, dbname: str, name: str, *, pk: str = "", **values: object) -> None:
    place = {"engine": "postgres", "host": server.host, "port": server.port, "database_name": dbname}
    login = {"username": server.user, "password": server.password, "timezone": "Europe/Berlin"}
    client.post("/api/databases", {"id": pk or dbname, "name": name, "schedule": None, **place, **login, **values})


def _bucket(store: S3Server, name: str) -> dict[str, object]:
    store.make_bucket(name)
    keys = {"access_key": store.access_key, "secret_key": store.secret_key}
    return {"bucket": name, "endpoint_url": store.endpoint_url, "region": store.region, "addressing": "path", **keys}


def _run(client: Client, ask: str, body: Mapping[str, object], path: str = "/api/backups") -> str:
    """Asks for a job and waits for its end; its id."""
    job: str = client.post(ask, dict(body))["id"]
    until(lambda: client.get(f"{path}/{job}")["status"] in ("completed", "failed"), seconds=60)
    return job
