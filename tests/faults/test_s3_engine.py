"""A bucket's backups and restores when a worker is killed, keys are wrong, and what is stored is damaged."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.databases.engines.s3_bucket.buckets import content_of, fill, keys_of, uploads_of
from tests.gate import Gate, gate
from tests.live import RESOLVED_WITHIN_S, Live, bucket_options, busy, id_of, kill, live, until
from tests.servers.postgres import PostgresServer
from tests.servers.s3 import S3Server

pytestmark = [pytest.mark.slow]

OBJECTS = {f"images/{n}": bytes([n]) * 50_000 for n in range(20)} | {"large": bytes(20 << 20)}


@pytest.fixture(scope="module")
def images(s3: S3Server) -> str:
    bucket = s3.make_bucket()
    fill(s3, bucket, OBJECTS)
    return bucket


@pytest.fixture(scope="module")
def store(s3: S3Server) -> Iterator[Gate]:
    with gate("127.0.0.1", int(s3.endpoint_url.rpartition(":")[2])) as found:
        yield found


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, postgres18: PostgresServer, s3: S3Server, images: str, store: Gate
) -> Iterator[Live]:
    with live(tmp_path_factory.mktemp("s3-engine"), postgres18, BACKUPSITE_MAX_ATTEMPTS="2") as found:
        found.add_bucket_database("images", s3, images, endpoint_url=f"http://127.0.0.1:{store.port}")
        yield found


@pytest.fixture
def good(site: Live) -> str:
    """A completed backup."""
    path = site.back_up("images")
    job = site.until(path)
    assert job["status"] == "completed", job
    return path


def asks(method: bytes, mark: bytes) -> Callable[[bytes], bool]:
    return lambda request: request.startswith(method) and mark in request.split(b"\r\n")[0]


def test_a_worker_killed_in_a_backup_leaves_nothing_and_the_next_attempt_completes(
    site: Live, store: Gate, good: str
) -> None:
    stored = site.stored()
    store.shut(hold_if=asks(b"GET ", b"/images/1"))
    path = site.back_up("images")
    assert store.held.wait(30 * busy())
    kill(site.pool(id_of(path)))
    store.open()
    job = site.until(path, "scheduled", "failed", seconds=RESOLVED_WITHIN_S)
    assert (job["status"], job["error"]["code"]) == ("scheduled", "worker_lost"), job
    until(lambda: site.stored() == stored, seconds=RESOLVED_WITHIN_S, what=lambda: site.stored() - stored)
    site.hurry()
    assert site.until(path)["status"] == "completed"


def test_a_worker_killed_in_a_restore_fails_it_and_the_next_restore_completes(
    site: Live, s3: S3Server, images: str, store: Gate, good: str
) -> None:
    target = s3.make_bucket()
    site.add_bucket_database("target", s3, target, endpoint_url=f"http://127.0.0.1:{store.port}")
    store.shut(hold_if=asks(b"PUT ", b"partNumber=2"))
    path = site.restore(good, "target")
    assert store.held.wait(30 * busy())
    kill(site.pool(id_of(path)))
    store.open()
    job = site.until(path, seconds=RESOLVED_WITHIN_S)
    assert (job["status"], job["error"]["code"]) == ("failed", "worker_lost"), job
    # The killed worker could not take back the upload it had begun: the sweeper does.
    until(lambda: not uploads_of(s3, target), seconds=RESOLVED_WITHIN_S, what=lambda: uploads_of(s3, target))
    lines = [line for (line,) in site.rows("SELECT message FROM jobs_logline WHERE job_id = ?", id_of(path))]
    assert any("begun" in line for line in lines) and any("aborted" in line for line in lines), lines
    again = site.until(site.restore(good, "target", drop_existing=True))
    assert again["status"] == "completed", again
    assert content_of(s3, target) == content_of(s3, images)


def test_wrong_keys_fail_and_leave_the_old_backups_alone(
    site: Live, s3: S3Server, images: str, store: Gate, good: str
) -> None:
    stored = site.stored()
    options = bucket_options(s3, images, endpoint_url=f"http://127.0.0.1:{store.port}")
    site.client.call("PATCH", "/api/databases/images", {"options": {**options, "secret_key": "wrong"}})
    try:
        job = site.until(site.back_up("images"))
    finally:
        site.client.call("PATCH", "/api/databases/images", {"options": options})
    assert (job["status"], job["error"]["code"]) == ("failed", "auth"), job
    assert job["error"]["hint"]
    assert site.stored() == stored
    assert site.rows("SELECT count(*) FROM notifications_event WHERE subject_id = ?", job["id"])[0][0]
    assert site.until(site.verify(good))["status"] == "completed"


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_artefact_is_told_and_its_restore_fails(site: Live, s3: S3Server, good: str, damage: str) -> None:
    ((key,),) = site.rows("SELECT key FROM backups_copy WHERE backup_id = ?", id_of(good))
    spoil(site.disk / key, damage)
    target = s3.make_bucket()
    site.add_bucket_database(f"target-{damage}", s3, target)
    restore = site.until(site.restore(good, f"target-{damage}"))
    assert restore["status"] == "failed", restore
    assert restore["error"]["code"] in ("artefact_truncated", "artefact_corrupt")
    assert set(keys_of(s3, target)) < set(OBJECTS), "never all of it"
    assert site.until(site.verify(good))["status"] == "failed"


def spoil(path: Path, damage: str) -> None:
    data = bytearray(path.read_bytes())
    if damage == "cut":
        del data[-5:]
    else:
        data[len(data) // 2] ^= 1
    path.write_bytes(data)
