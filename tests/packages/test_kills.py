"""SIGKILL while a package is written: the run comes back in time, and leaves no object and no upload."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from tests.gate import gate
from tests.live import RESOLVED_WITHIN_S, busy, id_of, kill, live, until
from tests.servers.postgres import PostgresServer
from tests.servers.s3 import S3Server

pytestmark = [pytest.mark.slow]

# 24 MB that are not compressed: more than one part of a multipart upload.
SOURCE = "CREATE TABLE item AS SELECT n AS id, repeat(md5(n::text), 25) AS note FROM generate_series(1, 30000) n"


def test_a_killed_worker_leaves_nothing_of_its_package(
    tmp_path: Path,
    postgres18: PostgresServer,
    fresh_database: Callable[[PostgresServer], str],
    s3: S3Server,
    s3_bucket: str,
) -> None:
    name = fresh_database(postgres18)
    postgres18.psql(SOURCE, name)

    def stored() -> tuple[list[str], list[str]]:
        """Keys of objects and of unfinished uploads."""
        with closing(s3.client()) as client:
            objects = client.list_objects_v2(Bucket=s3_bucket).get("Contents", [])
            uploads = client.list_multipart_uploads(Bucket=s3_bucket).get("Uploads", [])
        return [found["Key"] for found in objects], [found["Key"] for found in uploads]

    store = gate("127.0.0.1", int(s3.endpoint_url.rpartition(":")[2]))
    with store as proxy, live(tmp_path, postgres18, BACKUPSITE_MAX_ATTEMPTS="2") as site:
        site.add_bucket(s3, s3_bucket, port=proxy.port)
        site.add_database("shop", name, compression="none", package=True)
        assert site.until(site.back_up("shop"))["status"] == "completed"
        site.client.call("PATCH", "/api/packages/policy", {"destination": "bucket"})

        proxy.shut(up=20_000_000)
        path = f"/api/packages/{site.client.post('/api/packages/create')['id']}"
        until(lambda: stored()[1], seconds=40, what=lambda: site.log[-3000:])
        assert proxy.held.wait(30 * busy())
        site.until_phase(path, "pack")
        victims = site.pool(id_of(path))
        kill([site.child("worker")])
        _, alive = psutil.wait_procs(victims, timeout=5 * busy())
        assert not alive
        proxy.open()

        job = site.until(path, "scheduled", "failed", seconds=RESOLVED_WITHIN_S)
        assert (job["status"], job["error"]["code"]) == ("scheduled", "worker_lost")
        until(lambda: stored() == ([], []), seconds=RESOLVED_WITHIN_S, what=stored)
        until(lambda: site.rows("SELECT count(*) FROM packages_packagecopy") == [(0,)])

        site.hurry()
        job = site.until(path, "completed", "failed", seconds=60)
        assert (job["status"], job["attempt"]) == ("completed", 2), job
        assert sorted(stored()[0]) == [job["path"], f"{job['path']}.manifest.json"]
