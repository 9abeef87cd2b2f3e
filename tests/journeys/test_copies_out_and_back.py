"""The primary destination is lost: an encrypted chain comes back from the copies, by the site and by stock tools."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from backups.destinations import open_storage
from backups.models import Backup, Copy, CopyJob
from backups.pipeline.keys import generate_identity
from backups.services.place import place_database
from backups.storage.base import ObjectStorage
from jobs.models import Status
from tests.databases.engines.s3_bucket.buckets import content_of, fill
from tests.room import back_up, finish, local_destination, register_bucket, restore_into, s3_destination
from tests.servers.s3 import S3Server

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def newest_clients() -> None:
    """No PostgreSQL is needed here."""


def copied(backup: Backup) -> Backup:
    assert (backup.status, backup.error_message) == (Status.COMPLETED, "")
    for job in CopyJob.objects.filter(status=Status.PENDING):
        assert finish(job).status == Status.COMPLETED
    return backup


def test_a_chain_comes_back_from_its_copies_when_the_primary_destination_is_lost(s3: S3Server, tmp_path: Path) -> None:
    images = s3.make_bucket()
    fill(s3, images, {"a.txt": b"one", "b.txt": b"two"})
    disk = local_destination(tmp_path / "disk")
    remote = s3_destination(s3, s3.make_bucket(), prefix="off/site", is_default=False, off_site=True)
    identity, recipient = generate_identity()
    source = register_bucket(s3, images, compression="zstd", encryption="age", encryption_recipients=[recipient])
    place_database(database=source, destination_ids=[disk.pk, remote.pk])
    full = copied(back_up(source))
    fill(s3, images, {"a.txt": b"changed"})
    part = copied(back_up(source, type="incremental"))
    assert part.type == "incremental"
    shutil.rmtree(tmp_path / "disk")

    target = register_bucket(s3, s3.make_bucket())
    restore = restore_into(target, part, identity=identity)
    assert (restore.status, restore.error_message) == (Status.COMPLETED, "")
    assert content_of(s3, target.options["bucket"]) == content_of(s3, images)

    body = json.loads(open_storage(remote).read_text(f"{part.copies.get(destination=remote).key}.manifest.json"))
    assert body["artefact"]["parents"] == [full.copies.get(destination=remote).key]
    assert body["artefact"]["key"] == part.copies.get(destination=remote).key
    assert body["artefact"]["index"]["key"].startswith(body["artefact"]["key"])
    _open_by_hand(remote_key=body["artefact"]["key"], storage=open_storage(remote), identity=identity, folder=tmp_path)

    place_database(database=source, destination_ids=[remote.pk])
    fill(s3, images, {"c.txt": b"three"})
    third = copied(back_up(source, type="incremental"))
    assert (third.type, third.parent) == ("incremental", part), "the index was read from the copy"

    assert Copy.objects.filter(destination=disk, state=Copy.State.STORED).count() == 2, "a lost disk damages no copy"


def _open_by_hand(*, remote_key: str, storage: ObjectStorage, identity: str, folder: Path) -> None:
    """age, zstd and tar alone."""
    artefact, key = folder / "artefact", folder / "key.txt"
    key.write_text(identity)
    with storage.open_stream(remote_key) as stream, artefact.open("wb") as file:
        block = bytearray(1 << 20)
        while count := stream.readinto(block):
            file.write(memoryview(block)[:count])
    opened = f"set -o pipefail; age -d -i {key} {artefact} | zstd -dc | tar -tf -"
    done = subprocess.run(["bash", "-c", opened], capture_output=True, text=True, check=True)
    assert "a.txt" in done.stdout
