"""A copy is the same bytes at one more destination, or nothing."""

import hashlib
import json
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from backups.artefact import looks_like_ours, renumbered
from backups.destinations import open_storage
from backups.models import Backup, Copy, CopyJob, Destination
from backups.selectors import readable_copies, readers_of, stored_copy
from backups.services.orphans import find_orphans
from backups.services.prune import delete_backup
from backups.services.request_copy import request_copy
from backups.storage import files
from databases.models import Database
from jobs.errors import BackupError
from jobs.models import Status
from jobs.registry import kind_of
from jobs.services.cancel import cancel_job
from jobs.services.claim import claim
from jobs.services.run import run_job
from notifications.models import Event
from tests.api import make_database, make_destination
from tests.backups.services_room import stored_records
from tests.room import finish, s3_destination
from tests.servers.s3 import S3Server

pytestmark = pytest.mark.django_db(transaction=True)

PLAIN = b"\n".join(hashlib.sha256(str(n).encode()).hexdigest().encode() for n in range(20_000))


@dataclass
class Room:
    """One backup with its copy at `first`, and two empty places more."""

    database: Database
    backup: Backup
    first: Destination
    second: Destination
    third: Destination

    def path(self, destination: Destination) -> Path:
        return Path(destination.path) / self.copy(destination).key

    def copy(self, destination: Destination) -> Copy:
        return self.backup.copies.get(destination=destination)

    def files(self, destination: Destination) -> list[str]:
        found = Path(destination.path).rglob("*")
        return sorted(path.name for path in found if path.is_file() and path.name != ".backupsite-destination")


@pytest.fixture
def room(tmp_path: Path, settings: Any) -> Room:
    settings.BACKUPSITE_MAX_ATTEMPTS = 1
    places = [
        make_destination(tmp_path / name, pk=name, is_default=name == "first") for name in ("first", "second", "third")
    ]
    for place in places:
        open_storage(place).prepare()
    database = make_database()
    backup = stored_records(database, places[0], PLAIN)
    body = {"schema_version": 1, "artefact": {"key": backup.copies.get().key, "parents": [], "index": {}}}
    Backup.objects.filter(pk=backup.pk).update(manifest=body)
    backup.refresh_from_db()
    return Room(database, backup, *places)


def copied(room: Room, destination: Destination, **values: Any) -> CopyJob:
    return finish(request_copy(backup=room.backup, destination=destination, **values))


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)


def test_a_copy_holds_the_same_bytes_under_a_key_of_its_own_with_a_sidecar_of_its_own(room: Room) -> None:
    job = copied(room, room.second)
    assert (job.status, job.source_id, job.error_message) == (Status.COMPLETED, "first", "")
    copy, origin = room.copy(room.second), room.copy(room.first)
    assert (copy.state, copy.readback, copy.attempt) == (Copy.State.STORED, "full", 2)
    assert copy.key == renumbered(origin.key, 2) != origin.key
    assert room.path(room.second).read_bytes() == room.path(room.first).read_bytes()
    body = json.loads(open_storage(room.second).read_text(f"{copy.key}.manifest.json"))
    assert body["artefact"]["key"] == copy.key
    assert copy.verified_at == job.finished_at


def test_local_to_s3_and_on_to_another_account(room: Room, s3: S3Server) -> None:
    near = s3_destination(s3, s3.make_bucket(), id="near", is_default=False)
    elsewhere = s3.make_bucket(access_key=s3.other_key)
    login = {"access_key": s3.other_key, "region": "eu-central-1"}
    far = s3_destination(s3, elsewhere, id="far", prefix="deep/er", is_default=False, **login)
    assert copied(room, near).status == Status.COMPLETED
    with pytest.raises(ClientError), closing(s3.client()) as near_account:
        near_account.head_bucket(Bucket=elsewhere)
    assert copied(room, far, source=near).source_id == "near"
    assert copied(room, room.second, source=far).status == Status.COMPLETED
    assert room.path(room.second).read_bytes() == room.path(room.first).read_bytes()
    for place in (near, far):
        found = find_orphans(destination=place)
        assert (found.seen, found.orphans, found.missing) == (2, [], [])


def test_the_nearest_good_copy_is_read_and_a_destination_can_be_named(room: Room, s3: S3Server) -> None:
    remote = s3_destination(s3, s3.make_bucket(), is_default=False)
    for place in (remote, room.second):
        assert copied(room, place).status == Status.COMPLETED
    assert [copy.destination_id for copy in readable_copies(room.backup)] == ["first", "second", "bucket"]
    Destination.objects.filter(pk="first").update(fault="destination_unreachable")
    assert stored_copy(room.backup).destination_id == "second"
    assert stored_copy(room.backup, destination=remote).destination_id == "bucket"
    with pytest.raises(BackupError, match="no stored copy at third"):
        stored_copy(room.backup, destination=room.third)


def test_a_flipped_byte_is_never_copied_its_source_is_quarantined_and_the_next_one_is_used(room: Room) -> None:
    copied(room, room.second)
    flip_a_byte(room.path(room.first))
    job = copied(room, room.third)
    assert (job.status, job.source_id) == (Status.COMPLETED, "second")
    assert room.copy(room.first).state == Copy.State.QUARANTINED
    assert room.path(room.third).read_bytes() == room.path(room.second).read_bytes()
    assert len(room.files(room.third)) == 2, "nothing is left of the first try"
    told = Event.objects.get(kind="verify.failed")
    assert "at first is damaged" in told.message and "Good copies elsewhere: 1." in told.message


@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_what_no_source_can_give_is_stored_nowhere(room: Room, damage: str) -> None:
    path = room.path(room.first)
    if damage == "flip":
        flip_a_byte(path)
    elif damage == "cut":
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:-100])
    else:
        path.unlink()
    job = copied(room, room.second)
    assert (job.status, job.error_code) == (Status.FAILED, "vanished")
    assert room.files(room.second) == []
    assert room.copy(room.first).state == Copy.State.QUARANTINED
    assert not room.backup.copies.filter(destination=room.second).exists()
    assert Event.objects.filter(kind="copy.failed").exists()


def test_bytes_that_change_on_the_way_are_caught_by_the_read_back(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """Damaged after it was compared and before it was stored."""
    write = files.write_all

    def flipping(fd: int, block: memoryview) -> None:
        changed = bytearray(block)
        if len(changed) > 1000:
            changed[500] ^= 1
        write(fd, memoryview(changed))

    monkeypatch.setattr("backups.storage.local.write_all", flipping)
    job = copied(room, room.second)
    assert (job.status, job.error_code) == (Status.FAILED, "readback_mismatch")
    assert room.files(room.second) == []
    assert room.copy(room.first).state == Copy.State.STORED, "the source is not to blame"


def test_a_source_that_does_not_answer_is_passed_over_and_stays_good(room: Room) -> None:
    copied(room, room.second)
    (Path(room.first.path) / ".backupsite-destination").unlink()
    job = copied(room, room.third)
    assert (job.status, job.source_id) == (Status.COMPLETED, "second")
    assert room.copy(room.first).state == Copy.State.STORED


def test_no_number_is_given_twice_even_when_all_rows_of_an_attempt_are_gone(room: Room) -> None:
    """What wakes up late must never meet the key of another attempt."""
    (Path(room.second.path) / ".backupsite-destination").unlink()
    for _ in range(2):
        assert copied(room, room.second).status == Status.FAILED
    open_storage(room.second).prepare()
    room.backup.copies.filter(destination=room.second).delete()
    Backup.objects.filter(pk=room.backup.pk).update(copies_begun=7)
    copied(room, room.second)
    assert room.copy(room.second).attempt == 8


def test_a_second_job_for_the_same_place_or_a_copy_that_is_there_is_refused(room: Room) -> None:
    request_copy(backup=room.backup, destination=room.second)
    with pytest.raises(BackupError, match="is to copy"):
        request_copy(backup=room.backup, destination=room.second)
    with pytest.raises(BackupError, match="has a copy at first"):
        request_copy(backup=room.backup, destination=room.first)
    Backup.objects.filter(pk=room.backup.pk).update(status=Status.FAILED)
    with pytest.raises(BackupError, match="only a completed backup"):
        request_copy(backup=room.backup, destination=room.third)


def test_a_message_that_comes_twice_or_late_changes_nothing(room: Room) -> None:
    """The row is the truth, whatever the queue delivers."""
    job = copied(room, room.second)
    before = list(room.backup.copies.values())
    for _ in range(2):
        run_job(kind_name="copy", job_id=job.pk)
    assert list(room.backup.copies.values()) == before


def test_two_folders_of_different_hosts_have_no_way_to_each_other(room: Room) -> None:
    for name in ("first", "second"):
        Destination.objects.filter(pk=name).update(queue=f"host-{name}")
    room.second.refresh_from_db()
    with pytest.raises(BackupError, match="No host has both") as refused:
        request_copy(backup=room.backup, destination=room.second)
    assert refused.value.hint
    assert request_copy(backup=room.backup, destination=room.third).queue == "host-first"


def test_a_waiting_copy_ends_with_its_backup_and_a_running_one_holds_it(room: Room) -> None:
    job = request_copy(backup=room.backup, destination=room.second)
    assert readers_of(room.backup) == []
    other = request_copy(backup=room.backup, destination=room.third)
    lease = claim(kind=kind_of("copy"), job_id=other.pk, worker="test")
    assert lease is not None
    assert readers_of(room.backup) == [other.pk]
    with pytest.raises(BackupError, match="is being read"):
        delete_backup(backup=room.backup)
    CopyJob.objects.filter(pk=other.pk).update(status=Status.CANCELLED)
    assert delete_backup(backup=room.backup)
    job.refresh_from_db()
    assert (job.status, job.backup, job.backup_label) == (Status.CANCELLED, None, room.backup.pk)
    assert room.files(room.first) == []


def test_a_cancelled_copy_leaves_nothing(room: Room) -> None:
    job = request_copy(backup=room.backup, destination=room.second)
    cancel_job(job=job)
    assert finish(job).status == Status.CANCELLED
    assert room.files(room.second) == []


def test_the_key_of_a_copy_is_one_of_ours() -> None:
    key = "shop-1/2026/07/shop-1_2026-07-26_02-00-00_bkp_abcdefghij12-1.dump.zst.age"
    assert looks_like_ours(key)
    assert renumbered(key, 12) == key.replace("-1.dump", "-12.dump")
    assert looks_like_ours(renumbered(key, 12))
