"""A package is made: what is in it, what it says of itself, and what happens where a member is missing."""

import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError

from backups.models import Backup, Copy, Destination
from backups.pipeline.encode import EncodedReader
from backups.selectors import readers_of
from backups.services import stored_objects
from backups.services.prune import delete_backup
from backups.storage.local import LocalStorage
from databases.models import Database
from jobs.errors import BackupError
from jobs.lease import Lease
from jobs.models import Status
from jobs.services.cancel import cancel_job
from jobs.services.run import run_job
from jobs.services.sweep import sweep
from notifications.models import Event
from packages.models import Package, PackageCopy
from packages.services import contents, run
from packages.services.gather import gather
from packages.services.request import request_package
from tests.packages.conftest import Store, fetch, files_of, name_in, objects, pack, unpack
from tests.room import finish, s3_destination
from tests.servers.s3 import S3Server

SHOP, TILL = b"the shop" * 300_000, b""


@pytest.mark.parametrize("compression", ["zip", "tar.gz"])
def test_the_newest_backup_of_every_packaged_database_is_in_it(store: Store, tmp_path: Path, compression: str) -> None:
    store("shop", b"older")
    shop, till = store("shop", SHOP), store("till", TILL)
    store("shop", b"a part", type=Backup.Type.SELECTIVE)
    store("other", b"not packaged")
    Database.objects.filter(pk="other").update(package=False)
    package = pack(compression=compression)
    assert (package.status, package.error_message) == (Status.COMPLETED, "")
    folder = unpack(package, tmp_path)
    artefacts = {name_in(shop), name_in(till)}
    manifests = {f"{name}.manifest.json" for name in artefacts}
    assert files_of(folder) == artefacts | manifests | {"index.json", "RESTORE.txt"}
    assert (folder / name_in(shop)).read_bytes() == SHOP
    assert json.loads((folder / f"{name_in(till)}.manifest.json").read_text()) == {"backup": {"id": till.pk}}


def test_the_index_says_what_it_holds_and_the_sidecar_what_it_is(store: Store, tmp_path: Path) -> None:
    shop = store("shop", SHOP)
    package = pack()
    index = json.loads((unpack(package, tmp_path) / "index.json").read_text())
    assert index["package"]["id"] == package.pk
    member = index["members"][0]
    assert (member["name"], member["size"], member["sha256"]) == (name_in(shop), len(SHOP), shop.sha256)
    assert member["database"] == {"id": "shop", "name": "Shop", "engine": "postgres"}
    assert member["backup"]["id"] == shop.pk
    copy = package.copies.get()
    sidecar = json.loads((tmp_path / "disk" / f"{copy.key}.manifest.json").read_text())
    stored = (tmp_path / "disk" / copy.key).read_bytes()
    assert sidecar["members"] == index["members"]
    assert sidecar["artefact"]["size"] == len(stored) == package.size
    assert sidecar["artefact"]["sha256"] == package.sha256
    subprocess.run(
        ["sha256sum", "--check"], input=f"{package.sha256}  {tmp_path}/disk/{copy.key}", text=True, check=True
    )


def test_the_key_says_when_which_and_what_attempt(store: Store) -> None:
    store("shop", SHOP)
    package = pack(compression="tar.gz")
    at = package.started_at
    assert at is not None
    key = package.copies.get().key
    assert key.startswith(f"packages/{at:%Y}/{at:%m}/package_{at:%Y-%m-%d}_")
    assert key.endswith(f"_{package.pk}-1.tar.gz")


def test_the_restore_notes_are_commands_that_find_their_files(store: Store, tmp_path: Path) -> None:
    store("shop", SHOP)
    store("till", b"till")
    folder = unpack(pack(), tmp_path)
    notes = (folder / "RESTORE.txt").read_text()
    checks = [line for line in notes.splitlines() if line.startswith("echo ")]
    assert len(checks) == 2
    for line in checks:
        subprocess.run(["bash", "-c", line], cwd=folder, check=True)
    assert notes.count("pg_restore") == 2


def test_an_incremental_brings_what_it_builds_on(store: Store, tmp_path: Path) -> None:
    full = store("shop", b"full")
    first = store("shop", b"first", type=Backup.Type.INCREMENTAL, parent=full)
    second = store("shop", b"second", type=Backup.Type.INCREMENTAL, parent=first)
    package = pack()
    index = json.loads((unpack(package, tmp_path) / "index.json").read_text())
    chain = [name_in(full), name_in(first), name_in(second)]
    assert [member["name"] for member in index["members"]] == chain
    assert [member["parents"] for member in index["members"]] == [[], chain[:1], chain[:2]]
    assert [row.is_parent for row in package.members.all()] == [True, True, False]


def test_it_reads_and_writes_s3(store: Store, s3: S3Server, s3_bucket: str, tmp_path: Path) -> None:
    bucket = s3_destination(s3, s3_bucket, prefix="a/b")
    shop, till = store("shop", SHOP * 12, destination=bucket), store("till", b"till")
    package = pack()
    assert (package.status, package.error_message) == (Status.COMPLETED, "")
    copy = package.copies.get()
    assert (copy.destination_id, copy.readback, copy.upload_id) == ("bucket", "full", "")
    folder = unpack(package, tmp_path)
    assert (folder / name_in(shop)).read_bytes() == SHOP * 12
    assert (folder / name_in(till)).read_bytes() == b"till"


class TestAMissingMember:
    @pytest.fixture
    def damaged(self, store: Store, disk: Destination, request: pytest.FixtureRequest) -> str:
        """Two Databases, of which one has a backup that cannot be read; its reason."""
        store("till", b"till")
        if request.param == "never backed up":
            Database.objects.create(pk="shop", name="Shop", engine="postgres", package=True)
            return "no completed backup"
        shop = store("shop", SHOP)
        if request.param == "quarantined":
            shop.copies.update(state=Copy.State.QUARANTINED)
            return "no stored copy"
        path = Path(disk.path) / shop.copies.get().key
        if request.param == "vanished":
            path.unlink()
            return "no object"
        path.write_bytes(SHOP[:-1])
        return "were asked for"

    cases = ["never backed up", "quarantined", "vanished", "cut off"]

    @pytest.mark.parametrize("damaged", cases, indirect=True)
    def test_it_is_left_out_and_said(self, damaged: str, tmp_path: Path) -> None:
        package = pack(on_missing="skip")
        assert (package.status, package.error_message) == (Status.COMPLETED, "")
        missing = json.loads((unpack(package, tmp_path) / "index.json").read_text())["missing"]
        assert [found["database"]["id"] for found in missing] == ["shop"]
        row = package.members.get(database_id="shop")
        assert row.missing == missing[0]["reason"]
        assert package.members.get(database_id="till").missing == ""
        assert Event.objects.get(kind="package.completed").severity == "warning"

    @pytest.mark.parametrize("damaged", cases, indirect=True)
    def test_it_fails_the_package(self, damaged: str, disk: Destination) -> None:
        package = pack(on_missing="fail")
        assert (package.status, package.error_code) == (Status.FAILED, "member_missing")
        assert "Shop" in package.error_message
        assert package.error_hint
        assert objects(Path(disk.path)) == set()
        assert Event.objects.filter(kind="package.failed", subject_id=package.pk).exists()

    def test_an_incremental_goes_with_its_parent(self, store: Store, disk: Destination, tmp_path: Path) -> None:
        full = store("shop", b"full")
        store("shop", b"incremental", type=Backup.Type.INCREMENTAL, parent=full)
        store("till", b"till")
        (Path(disk.path) / full.copies.get().key).unlink()
        package = pack(on_missing="skip")
        assert not any(name.startswith("shop/") for name in files_of(unpack(package, tmp_path)))
        assert package.members.filter(database_id="shop", missing="").count() == 0

    def test_a_database_deleted_meanwhile_is_said(self, store: Store) -> None:
        store("shop", SHOP), store("till", b"till")
        package = request_package(databases=["shop", "till"])
        Database.objects.filter(pk="shop").delete()
        assert finish(package).status == Status.COMPLETED
        assert package.members.get(database_id="shop").missing == "The Database was deleted."

    def test_where_everything_is_missing_there_is_no_package(self, store: Store, disk: Destination) -> None:
        shop = store("shop", SHOP)
        (Path(disk.path) / shop.copies.get().key).unlink()
        package = pack(on_missing="skip")
        assert (package.status, package.error_code) == (Status.FAILED, "nothing_to_package")
        assert objects(Path(disk.path)) == set()


def test_a_damaged_member_fails_the_package_by_name(store: Store, disk: Destination) -> None:
    shop = store("shop", SHOP)
    path = Path(disk.path) / shop.copies.get().key
    path.write_bytes(b"x" + SHOP[1:])
    package = pack(on_missing="skip")
    assert (package.status, package.error_code) == (Status.FAILED, "member_corrupt")
    assert shop.pk in package.error_message
    assert objects(Path(disk.path)) == set()
    assert shop.copies.get().state == Copy.State.STORED


def test_a_source_that_is_away_is_tried_again(store: Store, disk: Destination, settings: Any, tmp_path: Path) -> None:
    settings.BACKUPSITE_MAX_ATTEMPTS = 2
    away = Destination.objects.create(pk="away", name="Away", kind="local", path=str(tmp_path / "away"))
    (tmp_path / "away").mkdir()
    (tmp_path / "away" / ".backupsite-destination").write_text("away")
    store("shop", SHOP, destination=away)
    (tmp_path / "away").rename(tmp_path / "elsewhere")
    package = pack(on_missing="skip")
    assert (package.status, package.attempt) == (Status.SCHEDULED, 1)
    assert objects(Path(disk.path)) == set()
    (tmp_path / "elsewhere").rename(tmp_path / "away")
    Package.objects.update(status=Status.PENDING)
    assert finish(package).status == Status.COMPLETED
    assert (package.attempt, package.copies.get().key[-6:]) == (2, "-2.zip")


def test_its_backups_are_held_while_it_is_made_and_no_longer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    full = store("shop", b"full")
    shop = store("shop", SHOP, type=Backup.Type.INCREMENTAL, parent=full)
    seen: list[Any] = []

    def look(*, package: Package, lease: Lease) -> Any:
        found = gather(package=package, lease=lease)
        seen.extend([readers_of(shop), readers_of(full)])
        with pytest.raises(BackupError, match="being read"):
            delete_backup(backup=shop)
        return found

    monkeypatch.setattr(run, "gather", look)
    package = pack()
    assert package.status == Status.COMPLETED
    assert seen == [[package.pk], [package.pk]]
    assert readers_of(shop) == []
    assert delete_backup(backup=shop)
    package.refresh_from_db()
    assert package.members.get(is_parent=False).backup_label == shop.pk


def test_a_byte_flipped_on_its_way_to_the_store_is_found(
    store: Store, disk: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    store("shop", SHOP)
    whole = EncodedReader.readinto

    def flipping(reader: EncodedReader, buffer: Any) -> int:
        count = whole(reader, buffer)
        if count:
            memoryview(buffer)[count // 2] ^= 1
        return count

    with monkeypatch.context() as patch:
        patch.setattr(EncodedReader, "readinto", flipping)
        package = pack()
    assert (package.status, package.error_code) == (Status.FAILED, "readback_mismatch")
    assert objects(Path(disk.path)) == set()


STAGES = [
    (run, "gather"),
    (stored_objects, "encode"),
    (stored_objects, "read_back"),
    (run, "_sidecar"),
    (contents.Contents, "_notes"),
    (EncodedReader, "readinto"),
    (LocalStorage, "open_stream"),
    (LocalStorage, "write"),
    (LocalStorage, "write_text"),
    (run, "record_package_event"),
]


@pytest.mark.parametrize(("owner", "name"), STAGES, ids=[name for _, name in STAGES])
def test_an_unexpected_error_in_any_stage_leaves_nothing(
    store: Store, disk: Destination, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    store("shop", SHOP)
    package = request_package()
    with monkeypatch.context() as patch:

        def defect(*args: Any, **kwargs: Any) -> Any:
            raise RuntimeError("a defect with a s3cret in it")

        patch.setattr(owner, name, defect)
        with pytest.raises(RuntimeError):
            run_job(kind_name="package", job_id=package.pk)
    if name == "record_package_event":  # the finish step itself is broken: the sweeper finds the run
        Package.objects.update(lease_expires_at=package.created_at)
    sweep()
    package.refresh_from_db()
    assert package.status == Status.FAILED
    assert "s3cret" not in package.error_message + package.error_hint
    assert objects(Path(disk.path)) == set()
    assert not PackageCopy.objects.exists()


def test_what_cannot_be_removed_now_is_removed_by_the_sweeper(
    store: Store, disk: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    store("shop", SHOP)
    with monkeypatch.context() as patch:

        def refuse(*args: Any, **kwargs: Any) -> None:
            raise BackupError("away", code="destination_unreachable")

        patch.setattr(LocalStorage, "write_text", refuse)
        patch.setattr(stored_objects, "remove", refuse)
        package = pack()
        sweep()
        assert len(objects(Path(disk.path))) == 1
        assert package.copies.get().state == PackageCopy.State.DELETING
    sweep()
    assert objects(Path(disk.path)) == set()
    assert not PackageCopy.objects.exists()


def test_a_cancel_stops_it_and_leaves_nothing(store: Store, disk: Destination, monkeypatch: pytest.MonkeyPatch) -> None:
    store("shop", SHOP)
    package = request_package()
    pump, leases = LocalStorage._pump, list[Lease]()

    def keep(*, package: Package, lease: Lease) -> Any:
        leases.append(lease)
        return gather(package=package, lease=lease)

    def cancelled_meanwhile(storage: LocalStorage, *args: Any, **kwargs: Any) -> int:
        cancel_job(job=package)
        leases[0]._renew()
        return pump(storage, *args, **kwargs)

    monkeypatch.setattr(run, "gather", keep)
    monkeypatch.setattr(LocalStorage, "_pump", cancelled_meanwhile)
    assert finish(package).status == Status.CANCELLED
    assert objects(Path(disk.path)) == set()
    assert not PackageCopy.objects.exists()


def test_a_full_destination_is_said_before_a_byte_is_written(
    store: Store, disk: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    store("shop", SHOP)
    monkeypatch.setattr("backups.storage.local.free_space", lambda fd: len(SHOP) - 1)
    package = pack()
    assert (package.status, package.error_code) == (Status.FAILED, "destination_full")
    assert package.error_hint
    assert not PackageCopy.objects.exists()


def test_a_doorbell_that_comes_twice_changes_nothing(store: Store, disk: Destination) -> None:
    store("shop", SHOP)
    package = pack()
    stored = objects(Path(disk.path))
    run_job(kind_name="package", job_id=package.pk)
    package.refresh_from_db()
    assert (package.status, package.attempt) == (Status.COMPLETED, 1)
    assert objects(Path(disk.path)) == stored


def test_one_package_runs_at_a_time(store: Store) -> None:
    store("shop", SHOP)
    first, second = request_package(), request_package()
    Package.objects.filter(pk=first.pk).update(status=Status.IN_PROGRESS)
    assert finish(second).status == Status.PENDING
    Package.objects.filter(pk=first.pk).update(status=Status.PENDING)
    assert not run.may_start(second)
    assert run.may_start(first)


def test_the_row_itself_keeps_two_from_running(store: Store) -> None:
    store("shop", SHOP)
    first, second = request_package(), request_package()
    Package.objects.filter(pk=first.pk).update(status=Status.IN_PROGRESS)
    with pytest.raises(IntegrityError):
        Package.objects.filter(pk=second.pk).update(status=Status.IN_PROGRESS)


def test_python_opens_the_zip_as_well(store: Store, tmp_path: Path) -> None:
    shop = store("shop", SHOP)
    with zipfile.ZipFile(fetch(pack(), tmp_path)) as archive:
        assert archive.testzip() is None
        assert archive.read(name_in(shop)) == SHOP
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
