"""What no row knows is reported, and removed only where it is certain enough and asked for."""

import json
import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils import timezone

from backups.artefact import artefact_key, index_key, key_of, looks_like_ours, sidecar_key
from backups.destinations import open_storage
from backups.models import Copy, Destination
from backups.services.orphans import find_orphans, remove_orphans
from backups.storage.readers import BytesReader
from backups.storage.s3 import S3BackupStorage
from tests.api import make_backup, make_database
from tests.room import local_destination, s3_destination
from tests.servers.s3 import S3Server

pytestmark = pytest.mark.django_db
LOST = "shop/2026/03/shop_2026-03-01_03-30-00_bkp_abcdefghij12-1.dump.zst.age"
PACKAGE = "packages/2026/03/package_2026-03-01_03-30-00_pkg_abcdefghij12-1.tar.gz"
FOREIGN = ("notes.txt", "shop/2026/03/other_2026-03-01_03-30-00_bkp_abcdefghij12-1.sql", "shop/2026/03/shop.dump")


@pytest.fixture
def disk(tmp_path: Path) -> Destination:
    return local_destination(tmp_path / "disk")


def put(destination: Destination, *keys: str, days_old: float = 2) -> None:
    for key in keys:
        open_storage(destination).write_text(key, "object")
        at = time.time() - days_old * 86400
        os.utime(Path(destination.path) / key, (at, at))


def known(destination: Destination) -> Copy:
    backup = make_backup(make_database())
    key = key_of(backup=backup, attempt=1, extension=".dump.zst", at=timezone.now())
    return Copy.objects.create(backup=backup, destination=destination, attempt=1, key=key, state="stored")


def test_every_key_of_a_site_looks_like_ours() -> None:
    backup = make_backup(make_database("db_a1-b"))
    key = key_of(backup=backup, attempt=12, extension=".archive.zst.age", at=timezone.now())
    for stored in (key, sidecar_key(key), index_key(key, encrypted=True), index_key(key, encrypted=False)):
        assert looks_like_ours(stored)
        assert artefact_key(stored) == key
    assert looks_like_ours(PACKAGE)
    assert not any(map(looks_like_ours, (*FOREIGN, f"sub/{LOST}", LOST.removesuffix(".dump.zst.age"))))


def test_it_tells_apart_what_is_known_lost_young_and_foreign(disk: Destination) -> None:
    copy = known(disk)
    put(disk, copy.key, sidecar_key(copy.key), index_key(copy.key, encrypted=False))
    put(disk, LOST, sidecar_key(LOST), index_key(LOST, encrypted=True), PACKAGE, *FOREIGN)
    put(disk, LOST.replace("-1.dump", "-2.dump"), days_old=0.9)
    found = find_orphans(destination=disk)
    assert [one.key for one in found.orphans] == sorted(
        [LOST, sidecar_key(LOST), index_key(LOST, encrypted=True), PACKAGE]
    )
    assert (found.seen, found.young, found.foreign, found.missing) == (11, 1, 3, [])


def test_writes_that_never_ended_are_found_and_removed(disk: Destination) -> None:
    copy = known(disk)
    for key in (LOST, copy.key, "notes"):
        put(disk, key)
        os.rename(Path(disk.path) / key, Path(disk.path) / f"{key}.partial")
    found = find_orphans(destination=disk)
    assert [(one.key, one.unfinished) for one in found.orphans] == [(LOST, True)]
    assert remove_orphans(destination=disk, orphans=found.orphans) == 1
    assert sorted(one.key for one in open_storage(disk).list_unfinished()) == sorted([copy.key, "notes"])


def test_what_a_row_knows_by_now_is_not_removed(disk: Destination) -> None:
    put(disk, LOST)
    found = find_orphans(destination=disk)
    Copy.objects.create(backup=make_backup(make_database()), destination=disk, attempt=1, key=LOST, state="writing")
    assert remove_orphans(destination=disk, orphans=found.orphans) == 0
    assert open_storage(disk).stat(LOST) is not None


def test_a_row_whose_object_is_missing_is_reported(disk: Destination) -> None:
    copy = known(disk)
    put(disk, sidecar_key(copy.key))
    assert find_orphans(destination=disk).missing == [copy.key]
    Copy.objects.update(state="deleting")
    assert find_orphans(destination=disk).missing == []


def test_the_command_reports_and_removes_only_when_told_twice(
    disk: Destination, capsys: pytest.CaptureFixture[str]
) -> None:
    put(disk, LOST, *FOREIGN)

    def run(*argv: str) -> tuple[int, str, str]:
        try:
            call_command("orphans", *argv)
            status = 0
        except SystemExit as end:
            status = int(str(end.code))
        return (status, *capsys.readouterr())

    status, out, _ = run("disk")
    assert (status, out.count("unknown  "), LOST in out) == (0, 1, True)
    status, _, err = run("disk", "--remove")
    assert (status, open_storage(disk).stat(LOST) is not None) == (2, True)
    assert "two sites that share a bucket" in err
    status, out, _ = run("--remove", "--yes", "--json")
    assert (status, json.loads(out)["destinations"][0]["removed"]) == (0, 1)
    assert sorted(one.key for one in open_storage(disk).list()) == sorted(FOREIGN)
    assert run("diskk")[0] == 2
    known(disk)
    assert run()[0] == 1  # its object was never written
    (Path(disk.path) / ".backupsite-destination").unlink()
    assert run("--json")[0] == 1


def test_a_bucket_is_read_under_its_own_prefix_only(s3: S3Server, s3_bucket: str) -> None:
    own = s3_destination(s3, s3_bucket, prefix="own")
    other = s3_destination(s3, s3_bucket, id="other", prefix="other", is_default=False)
    for destination in (own, other):
        open_storage(destination).write(LOST, BytesReader(b"object"))
    begun = LOST.replace("-1.dump", "-3.dump")
    storage = open_storage(own)
    assert isinstance(storage, S3BackupStorage)
    storage.client.create_multipart_upload(Bucket=s3_bucket, Key=f"own/{begun}")
    found = find_orphans(destination=own, now=timezone.now() + timedelta(days=2))
    assert [(one.key, one.unfinished) for one in found.orphans] == [(LOST, False), (begun, True)]
    assert find_orphans(destination=own).orphans == []  # they are younger than a day
    assert remove_orphans(destination=own, orphans=found.orphans) == 2
    assert (storage.stat(LOST), list(storage.list_unfinished())) == (None, [])
    assert open_storage(other).stat(LOST) is not None


def test_what_another_destination_of_the_same_bucket_knows_is_no_orphan(s3: S3Server, s3_bucket: str) -> None:
    one = s3_destination(s3, s3_bucket, prefix="own")
    again = s3_destination(s3, s3_bucket, id="again", prefix="/own/", is_default=False)
    key = known(one).key
    open_storage(one).write(key, BytesReader(b"object"))
    assert find_orphans(destination=again, now=timezone.now() + timedelta(days=2)).orphans == []
