"""Object Lock, versions and credentials that only write, on a store that really has them. The one module that asks for
Ceph, which takes half a minute to start."""

import io
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.utils import timezone

from backups.destinations import check_destination, open_storage
from backups.models import Backup, Copy, Destination
from backups.services import read_back
from backups.services.look import fault_of
from backups.services.prune import remove_deleting
from backups.services.save_destination import save_destination
from backups.storage.base import Stored
from backups.storage.s3_lock import Lock
from databases.models import Database
from jobs.errors import BackupError
from jobs.models import Status
from notifications.models import Event
from tests.api import api
from tests.live import busy
from tests.room import back_up, register_service, restore_into, s3_destination, verify
from tests.servers.ceph import CephServer
from tests.servers.records import RecordsServer, sample

pytestmark = pytest.mark.django_db(transaction=True)

WRITE = ["s3:PutObject", "s3:AbortMultipartUpload", "s3:PutObjectRetention"]
MIB = 1 << 20


@pytest.fixture
def database(records_service: RecordsServer) -> Database:
    sample(records_service, 20)
    options = {"records_path": "data.items", "pagination": "page", "collection": "users", "method": "GET"}
    return register_service(records_service, options=options)


@pytest.fixture
def locked(ceph: CephServer) -> Destination:
    return destination_of(ceph, ceph.make_bucket(), object_lock_mode="COMPLIANCE", object_lock_days=3)


@pytest.fixture
def for_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is held for a few seconds only."""

    def parameters(lock: Lock) -> dict[str, Any]:
        until = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=6)
        return {"ObjectLockMode": lock.mode, "ObjectLockRetainUntilDate": until} if lock else {}

    monkeypatch.setattr(Lock, "parameters", parameters)


def destination_of(ceph: CephServer, bucket: str, **values: Any) -> Destination:
    return s3_destination(ceph, bucket, **values)  # type: ignore[arg-type]  # the same fields


def stored(database: Database) -> tuple[Backup, Copy]:
    backup = back_up(database)
    assert (backup.status, backup.error_message) == (Status.COMPLETED, "")
    return backup, backup.copies.get()


def until_true(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60 * busy()
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def let_go(ceph: CephServer, bucket: str) -> bool:
    """What is to go went, after its date."""
    remove_deleting()
    return ceph.versions(bucket) == []


def test_every_object_of_a_backup_is_held_and_its_row_says_until_when(
    ceph: CephServer, locked: Destination, database: Database
) -> None:
    backup, copy = stored(database)
    versions = ceph.versions(locked.bucket)
    assert {one["Key"] for one in versions} == {copy.key, f"{copy.key}.manifest.json"}
    assert copy.version_id in {one["VersionId"] for one in versions}
    asked = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in versions]
    held = [ceph.client().get_object_retention(Bucket=locked.bucket, **one)["Retention"] for one in asked]
    assert {one["Mode"] for one in held} == {"COMPLIANCE"}
    assert copy.retain_until is not None
    assert abs(copy.retain_until - max(one["RetainUntilDate"] for one in held)) < timedelta(seconds=1)
    assert timedelta(days=2, hours=23) < copy.retain_until - backup.finished_at < timedelta(days=3, minutes=1)  # type: ignore[operator]


def test_large_objects_are_held_when_they_are_complete_and_given_up_ones_leave_nothing(
    ceph: CephServer, locked: Destination
) -> None:
    class Failing(io.BytesIO):
        def readinto(self, buffer: Any) -> int:
            if not (count := super().readinto(buffer)):
                raise OSError("the dump failed")
            return count

    storage = open_storage(locked)
    seen: list[Stored] = []
    with pytest.raises(OSError, match="the dump failed"):
        storage.write("failed", Failing(bytes(20 * MIB)), on_stored=seen.append)
    assert (ceph.versions(locked.bucket), list(storage.list_unfinished()), seen) == ([], [], [])
    storage.write("large", io.BytesIO(bytes(20 * MIB)), on_stored=seen.append)
    [version] = ceph.versions(locked.bucket)
    assert (seen[0].version_id, seen[0].retain_until) == (version["VersionId"], storage.held_until("large"))
    with pytest.raises(BackupError):
        storage.delete("large")
    assert ceph.versions(locked.bucket) == [version]


def test_retention_and_deletion_leave_alone_what_the_store_holds(
    ceph: CephServer, locked: Destination, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    old, copy = stored(database)
    stored(database)
    Database.objects.update(max_backups=1, retention_days=1)
    before = ceph.versions(locked.bucket)
    reason = f"the store holds it until {copy.retain_until:%Y-%m-%d %H:%M} UTC"
    call_command("prune", "--dry-run")
    assert f"kept: {reason}; although beyond the newest 1" in capsys.readouterr().out
    call_command("prune")
    preview = api().get(f"/api/databases/{database.pk}/retention-preview").json()
    assert reason in str(preview)
    answer = api().delete(f"/api/backups/{old.pk}")
    assert (answer.status_code, reason in answer.json()["detail"]) == (409, True)
    old.refresh_from_db()
    assert (old.status, ceph.versions(locked.bucket)) == (Status.COMPLETED, before)


@pytest.mark.usefixtures("for_seconds")
def test_once_the_store_lets_go_the_versions_are_deleted(
    ceph: CephServer, locked: Destination, database: Database
) -> None:
    backup, copy = stored(database)
    held = copy.retain_until
    assert held is not None
    until_true(lambda: timezone.now() > held)
    until_true(lambda: api().delete(f"/api/backups/{backup.pk}").status_code in (204, 404))
    assert ceph.versions(locked.bucket) == []


@pytest.mark.usefixtures("for_seconds")
def test_what_was_stored_wrong_stays_recorded_until_it_can_be_deleted(
    ceph: CephServer, locked: Destination, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(read_back, "read_digests", lambda *args, **kwargs: (0, "", ""))
        patch.setattr(settings, "BACKUPSITE_MAX_ATTEMPTS", 1)
        backup = back_up(database)
    assert backup.error_code == "readback_mismatch"
    copy = Copy.objects.get()
    assert (copy.state, bool(copy.version_id)) == (Copy.State.DELETING, True)
    assert remove_deleting() == 0
    assert len(ceph.versions(locked.bucket)) == 1
    assert "the store holds it until" in api().delete(f"/api/backups/{backup.pk}").json()["detail"]
    until_true(lambda: let_go(ceph, locked.bucket))
    assert not Copy.objects.exists()


@pytest.mark.usefixtures("for_seconds")
def test_what_nobody_could_write_down_is_asked_of_the_store(
    ceph: CephServer, locked: Destination, database: Database
) -> None:
    stored(database)
    Copy.objects.update(state=Copy.State.DELETING, version_id="", retain_until=None)
    Backup.objects.update(status=Status.DELETING)
    assert remove_deleting() == 0
    found = Copy.objects.get()
    assert found.retain_until is not None
    assert "the store holds it until" in found.error
    until_true(lambda: let_go(ceph, locked.bucket))


def test_who_may_delete_and_overwrite_cannot_take_a_backup_away(
    ceph: CephServer, locked: Destination, database: Database, records_service: RecordsServer
) -> None:
    backup, copy = stored(database)
    client = ceph.client()
    client.put_object(Bucket=locked.bucket, Key=copy.key, Body=b"ransom")
    client.delete_object(Bucket=locked.bucket, Key=copy.key)
    with pytest.raises(ClientError):
        client.delete_object(Bucket=locked.bucket, Key=copy.key, VersionId=copy.version_id)
    run = verify(backup)
    assert (run.status, run.error_message) == (Status.COMPLETED, "")
    records_service.fill("users", [])
    assert restore_into(database, backup).status == Status.COMPLETED
    assert len(records_service.records("users")) == 20


def test_a_bucket_that_holds_nothing_is_refused_in_words(ceph: CephServer) -> None:
    bucket = ceph.make_bucket(lock=False)
    lock = {"object_lock_mode": "GOVERNANCE", "object_lock_days": 1}
    with pytest.raises(ValidationError) as refused:
        destination_of(ceph, bucket, **lock)
    assert "has no Object Lock" in str(refused.value.message_dict["object_lock_mode"])
    destination = destination_of(ceph, bucket)
    Destination.objects.update(**lock)
    destination.refresh_from_db()
    report = check_destination(destination)
    assert (report.ok, report.code) == (False, "destination_lock_off")
    for values in ({"object_lock_mode": "GOVERNANCE", "object_lock_days": 0}, {"object_lock_mode": ""}):
        with pytest.raises(ValidationError):
            save_destination(destination=Destination.objects.get(), values=values, create=False)


def test_governance_gives_way_to_who_may_bypass_it_and_compliance_to_nobody(ceph: CephServer) -> None:
    bucket = ceph.make_bucket()
    for mode, gives_way in (("GOVERNANCE", True), ("COMPLIANCE", False)):
        Destination.objects.all().delete()
        storage = open_storage(destination_of(ceph, bucket, object_lock_mode=mode, object_lock_days=1))
        storage.write_text(mode, "held")
        [version] = [one["VersionId"] for one in ceph.versions(bucket) if one["Key"] == mode]
        asked = {"Bucket": bucket, "Key": mode, "VersionId": version}
        with pytest.raises(ClientError):
            ceph.client().delete_object(**asked)
        try:
            ceph.client().delete_object(**asked, BypassGovernanceRetention=True)
        except ClientError:
            assert not gives_way
        else:
            assert gives_way


def test_the_buckets_own_retention_is_known_too(ceph: CephServer, database: Database) -> None:
    bucket = ceph.make_bucket()
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 2}}
    ceph.client().put_object_lock_configuration(
        Bucket=bucket,
        ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule},  # type: ignore[typeddict-item]
    )
    destination_of(ceph, bucket)
    backup, copy = stored(database)
    assert copy.retain_until is not None
    assert copy.retain_until > timezone.now() + timedelta(days=1)
    assert api().delete(f"/api/backups/{backup.pk}").status_code == 409


def test_a_bucket_with_versions_keeps_none_of_what_is_deleted(ceph: CephServer, database: Database) -> None:
    bucket = ceph.make_bucket(lock=False, versions=True)
    destination = destination_of(ceph, bucket)
    backup, copy = stored(database)
    assert copy.version_id
    assert api().delete(f"/api/backups/{backup.pk}").status_code == 204
    assert check_destination(destination).ok
    assert ceph.versions(bucket) == []


@pytest.fixture(params=[True, False], ids=["locked", "not_locked"])
def write_only(request: pytest.FixtureRequest, ceph: CephServer) -> Destination:
    bucket = ceph.make_bucket(lock=request.param)
    ceph.allow_writer(bucket, WRITE)
    lock = {"object_lock_mode": "COMPLIANCE", "object_lock_days": 1} if request.param else {}
    return destination_of(ceph, bucket, access_key=ceph.writer_key, **lock)


def test_credentials_that_only_write_are_enough_to_back_up(
    ceph: CephServer, write_only: Destination, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        report = check_destination(write_only)
        assert report.ok, report
    assert fault_of(write_only) == ""
    keys = {one["Key"] for one in ceph.versions(write_only.bucket)}
    assert keys == {".backupsite-probe"}, "looks leave nothing, checks one object"
    caplog.clear()
    copy = stored(database)[1]
    assert (copy.readback, copy.state) == (Copy.Readback.CHECKSUM, Copy.State.STORED)
    assert not [line for line in caplog.records if line.levelname in ("WARNING", "ERROR")]
    assert not Event.objects.exclude(kind="backup.completed").exists()


def test_what_they_may_not_delete_is_said_once(
    ceph: CephServer, write_only: Destination, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        stored(database)
    Database.objects.update(max_backups=1)
    Copy.objects.update(retain_until=None)  # as if its time had come
    caplog.clear()
    with pytest.raises(SystemExit) as ended:
        call_command("prune")
    assert ended.value.code == 1
    for _ in range(3):
        remove_deleting()
    told = [line for line in caplog.records if "stays for now" in line.getMessage()]
    assert len(told) == 2, "once for each copy"
    event = Event.objects.get(kind="destination.undeletable")
    assert "may not delete" in event.message
    waiting = Copy.objects.filter(state=Copy.State.DELETING)
    assert [bool(copy.error) for copy in waiting] == [True, True]
    # With other credentials it goes at once, not after the hour in which nobody asks again.
    if not write_only.object_lock_mode:
        save_destination(destination=write_only, values={"access_key": ceph.access_key}, create=False)
        remove_deleting()
        assert [copy.error for copy in waiting.all()] == []
