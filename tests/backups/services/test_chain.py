"""Chains: what an incremental builds on, what holds a parent, and what happens when a link is gone."""

import json
from pathlib import Path

import pytest

from backups.artefact import sidecar_key
from backups.models import Backup, Copy
from backups.pipeline.keys import generate_identity
from backups.services.prune import delete_backup
from databases.models import Database
from databases.services.save import save_database
from jobs.errors import BackupError
from jobs.models import LogLine, Status
from tests.databases.engines.s3_bucket.buckets import clear, content_of, fill
from tests.room import back_up, local_destination, register_bucket, restore_into, verify
from tests.servers.s3 import S3Server

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def disk(tmp_path: Path, transactional_db: None) -> Path:
    local_destination(tmp_path / "disk")
    return tmp_path / "disk"


@pytest.fixture
def images(s3: S3Server, s3_bucket: str, disk: Path) -> Database:
    """Three small objects, encrypted to a key that the site does not hold."""
    fill(s3, s3_bucket, {"a": b"1", "b": b"2", "c": b"3"})
    _, recipient = generate_identity()
    return register_bucket(s3, s3_bucket, encryption="age", encryption_recipients=[recipient])


def made(database: Database, **values: str) -> Backup:
    backup = back_up(database, type="incremental", **values)
    assert backup.status == Status.COMPLETED, backup.error_message
    return backup


def told(backup: Backup) -> str:
    return "\n".join(LogLine.objects.filter(job_id=backup.pk).values_list("message", flat=True))


def index_file(disk: Path, backup: Backup) -> Path:
    return disk / str(backup.manifest["artefact"]["index"]["key"])


def test_the_first_incremental_is_a_full_backup_and_says_why(images: Database) -> None:
    first, second = made(images), made(images)
    assert (first.type, first.parent) == (Backup.Type.FULL, None)
    assert "none to build on" in told(first)
    assert (second.type, second.parent) == (Backup.Type.INCREMENTAL, first)


def test_a_server_without_the_private_key_builds_chains_and_the_store_reads_no_key_name(
    images: Database, disk: Path, s3: S3Server
) -> None:
    fill(s3, images.options["bucket"], {"name-of-a-secret-object": b"x"})
    chain = [made(images), made(images), made(images)]
    assert [backup.type for backup in chain] == ["full", "incremental", "incremental"]
    for backup in chain:
        stored = index_file(disk, backup).read_bytes()
        assert stored.startswith(b"age-encryption.org/v1")
    everything = b"".join(path.read_bytes() for path in disk.rglob("*") if path.is_file())
    assert b"name-of-a-secret-object" not in everything


def test_after_full_every_incrementals_a_full_one_follows(images: Database) -> None:
    options = {**images.options, "full_every": 2}
    save_database(database=images, values={"options": options}, create=False)
    assert [made(images).type for _ in range(5)] == ["full", "incremental", "incremental", "full", "incremental"]


def test_a_change_of_what_is_backed_up_begins_a_new_chain(images: Database) -> None:
    made(images)
    save_database(database=images, values={"options": {**images.options, "exclude": ["c"]}}, create=False)
    changed = made(images)
    assert changed.type == Backup.Type.FULL
    assert "was changed since" in told(changed)


def test_other_keys_begin_a_new_chain_so_that_one_key_opens_all_of_it(images: Database, s3: S3Server) -> None:
    made(images)
    identity, recipient = generate_identity()
    save_database(database=images, values={"encryption_recipients": [recipient]}, create=False)
    chain = [made(images), made(images)]
    assert [backup.type for backup in chain] == ["full", "incremental"]
    assert "the keys were changed" in told(chain[0])
    restored = restore_into(images, chain[-1], identity=identity, drop_existing=True)
    assert restored.status == Status.COMPLETED, restored.error_message
    save_database(database=images, values={"encryption": "none"}, create=False)
    assert made(images).type == Backup.Type.FULL


def test_a_selective_backup_is_nobodys_parent(images: Database) -> None:
    full = made(images)
    assert back_up(images, type="selective", include=["a"]).status == Status.COMPLETED
    assert made(images).parent == full


@pytest.mark.parametrize("damage", ["gone", "flipped", "cut"])
def test_an_index_that_cannot_be_read_costs_an_incremental_and_nothing_else(
    images: Database, disk: Path, damage: str
) -> None:
    save_database(database=images, values={"encryption": "none"}, create=False)
    full = made(images)
    index = index_file(disk, full)
    data = bytearray(index.read_bytes())
    if damage == "gone":
        index.unlink()
    else:
        data[-5] ^= 1
        index.write_bytes(data if damage == "flipped" else data[:-20])
    report = verify(full).report["copies"][0]
    assert report["ok"] and report["index"].startswith("damaged")
    following = made(images)
    assert following.type == Backup.Type.FULL
    assert "index" in told(following)
    assert made(images).parent == following


def test_a_parent_without_an_index_costs_an_incremental_and_nothing_else(images: Database) -> None:
    full = made(images)
    full.manifest["artefact"].pop("index")
    Backup.objects.filter(pk=full.pk).update(manifest=full.manifest)
    following = made(images)
    assert (following.type, following.parent) == (Backup.Type.FULL, None)
    assert "has no index" in told(following)
    assert made(images).parent == following


def test_a_parent_without_a_sound_copy_is_not_built_on(images: Database) -> None:
    full = made(images)
    Copy.objects.filter(backup=full).update(state=Copy.State.QUARANTINED)
    assert made(images).type == Backup.Type.FULL


def test_parents_stay_as_long_as_something_builds_on_them(images: Database) -> None:
    full, child = made(images), made(images)
    with pytest.raises(BackupError, match=f"{child.pk} builds on"):
        delete_backup(backup=full)
    assert delete_backup(backup=child)
    assert delete_backup(backup=full)


def test_a_run_that_failed_lets_its_parent_go(images: Database, s3: S3Server) -> None:
    full = made(images)
    bucket = images.options["bucket"]
    clear(s3, bucket, ["a", "b", "c"])
    client = s3.client()
    client.delete_bucket(Bucket=bucket)
    client.close()
    failed = back_up(images, type="incremental")
    failed.refresh_from_db()
    assert failed.status in (Status.FAILED, Status.SCHEDULED)
    Backup.objects.filter(pk=failed.pk).update(status=Status.FAILED, parent=None)
    assert delete_backup(backup=full)


def test_everything_of_a_deleted_incremental_is_gone(images: Database, disk: Path) -> None:
    made(images)
    before = {path for path in disk.rglob("*") if path.is_file()}
    assert delete_backup(backup=made(images))
    assert {path for path in disk.rglob("*") if path.is_file()} == before


def test_the_sidecar_names_the_chain_for_whoever_finds_the_bucket(images: Database, disk: Path) -> None:
    chain = [made(images) for _ in range(3)]
    keys = [backup.copies.get().key for backup in chain]
    body = json.loads((disk / sidecar_key(keys[-1])).read_text())
    assert body["artefact"]["parents"] == keys[:-1]
    assert body["artefact"]["index"]["key"].startswith(keys[-1])


def test_a_restore_of_a_chain_needs_every_link(images: Database, s3: S3Server, disk: Path) -> None:
    save_database(database=images, values={"encryption": "none"}, create=False)
    full = made(images)
    fill(s3, images.options["bucket"], {"d": b"4"})
    newest = made(images)
    target = register_bucket(s3, s3.make_bucket())
    assert restore_into(target, newest).status == Status.COMPLETED
    assert set(content_of(s3, target.options["bucket"])) == {"a", "b", "c", "d"}
    Copy.objects.filter(backup=full).update(state=Copy.State.QUARANTINED)
    with pytest.raises(BackupError, match=f"{full.pk} has no stored copy"):
        restore_into(target, newest, drop_existing=True)


def test_an_incremental_without_its_parents_is_never_restored_by_itself(images: Database) -> None:
    made(images)
    child = made(images)
    Backup.objects.filter(pk=child.pk).update(parent=None)
    with pytest.raises(BackupError, match="builds on a backup that is gone"):
        restore_into(images, child, drop_existing=True)
