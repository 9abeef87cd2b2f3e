"""The kit holds every key and address, says so, and is asked for again when one of them has changed."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.db import connection

from backups.destinations import open_storage
from backups.models import Copy, Destination, KitDownload
from backups.pipeline.keys import generate_identity
from backups.services.protect_self import protect_self
from backups.services.recovery_kit import kit_is_taken, take_kit
from backups.services.save_destination import save_destination
from jobs.models import Status
from notifications.models import Event
from tests.room import back_up, local_destination, s3_destination
from tests.servers.s3 import S3Server

pytestmark = pytest.mark.django_db(transaction=True)
UNPACK = "umask 077 && mkdir -p data/keys && awk "


@pytest.fixture
def disk(tmp_path: Path) -> Destination:
    return local_destination(tmp_path / "disk")


@pytest.fixture
def on(settings: Any, tmp_path: Path) -> None:
    settings.BACKUPSITE_SELF_BACKUP = True
    own = str(connection.settings_dict["NAME"])
    settings.BACKUPSITE_ENGINE_SETTINGS = {"sqlite_own": own, "sqlite_temporary": str(tmp_path / "tmp")}


def unpack(kit: str, folder: Path) -> None:
    """As the kit itself says."""
    folder.mkdir()
    (folder / "kit.txt").write_text(kit)
    (command,) = [line.strip() for line in kit.splitlines() if line.strip().startswith(UNPACK)]
    subprocess.run(["bash", "-c", command.replace(" KIT", " kit.txt")], cwd=folder, check=True)


def fetch(folder: Path, name: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["bash", name], cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def test_unpacked_by_its_own_words_it_is_the_sites_keys(disk: Destination, tmp_path: Path, settings: Any) -> None:
    unpack(take_kit(by_name="ada"), tmp_path / "new")
    keys = {path.name: path.read_text().strip() for path in (tmp_path / "new" / "data" / "keys").iterdir()}
    assert keys == {
        "secret_key": settings.SECRET_KEY,
        "jwt_key": settings.SIMPLE_JWT["SIGNING_KEY"],
        "encryption_keys": "\n".join(settings.BACKUPSITE_ENCRYPTION_KEYS),
        "report_key": settings.BACKUPSITE_REPORT_KEY,
        "age_identity": "\n".join(settings.BACKUPSITE_AGE_IDENTITIES),
        "age_recipients": "\n".join(settings.BACKUPSITE_AGE_RECIPIENTS),
    }
    modes = {path.stat().st_mode & 0o077 for path in (tmp_path / "new").rglob("*") if path.is_file()}
    assert (tmp_path / "new" / "data" / "keys").stat().st_mode & 0o077 == 0
    assert modes - {0o044} == {0}, "only the kit itself was written by the test"


def test_a_server_without_the_private_key_says_that_it_is_wanted(disk: Destination, settings: Any) -> None:
    settings.BACKUPSITE_AGE_IDENTITIES = []
    kit = take_kit(by_name="ada")
    assert "THE PRIVATE AGE KEY IS NOT ON THE SERVER" in kit
    assert "data/keys/age_identity ===" not in kit


def test_taking_it_is_recorded_and_told(disk: Destination) -> None:
    assert not kit_is_taken()
    take_kit(by_name="ada")
    assert kit_is_taken()
    assert KitDownload.objects.get().by_name == "ada"
    event = Event.objects.get(kind="kit.downloaded")
    assert (event.severity, "ada" in event.message) == ("warning", True)


@pytest.mark.parametrize("change", ["encryption key", "age key", "login", "address", "another place"])
def test_another_key_or_address_makes_it_stale(disk: Destination, tmp_path: Path, settings: Any, change: str) -> None:
    values = {"name": "b", "kind": "s3", "bucket": "b", "access_key": "me", "secret_key": "old"}
    bucket = save_destination(destination=Destination(pk="bucket"), values=values, create=True)
    take_kit(by_name="ada")
    assert kit_is_taken()
    if change == "encryption key":
        settings.BACKUPSITE_ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *settings.BACKUPSITE_ENCRYPTION_KEYS]
    elif change == "age key":
        settings.BACKUPSITE_AGE_IDENTITIES = ["AGE-SECRET-KEY-1X"]
    elif change == "another place":
        local_destination(tmp_path / "other", id="other", is_default=False)
    else:
        changed = {"secret_key": "new"} if change == "login" else {"prefix": "moved"}
        save_destination(destination=bucket, values=changed, create=False)
    assert not kit_is_taken()


def test_the_command_writes_a_private_new_file_only(disk: Destination, tmp_path: Path) -> None:
    kit = tmp_path / "kit.txt"
    call_command("recovery_kit", "--output", str(kit))
    assert kit.stat().st_mode & 0o777 == 0o600
    assert "BACKUPSITE RECOVERY KIT" in kit.read_text()
    with pytest.raises(SystemExit) as ended:
        call_command("recovery_kit", "--output", str(kit))
    assert ended.value.code == 1
    assert KitDownload.objects.count() == 1


def test_from_a_folder_the_newest_whole_backup_is_fetched_and_nothing_is_overwritten(
    on: None, disk: Destination, tmp_path: Path
) -> None:
    own = protect_self()
    assert own is not None
    whole, unfinished = back_up(own), back_up(own)
    copy = unfinished.copies.get()
    open_storage(disk).delete(f"{copy.key}.manifest.json")
    unpack(take_kit(by_name="ada"), tmp_path / "new")
    done = fetch(tmp_path / "new", "fetch-disk.sh")
    assert done.returncode == 0, done.stderr
    assert whole.pk in done.stderr
    fetched = tmp_path / "new" / "data" / "backupsite.sqlite3"
    before = fetched.read_bytes()
    assert before.startswith(b"SQLite format 3\0")
    again = fetch(tmp_path / "new", "fetch-disk.sh")
    assert again.returncode == 1
    assert "is there already" in again.stderr
    assert fetched.read_bytes() == before


def test_damage_or_another_key_opens_nothing(on: None, disk: Destination, tmp_path: Path, settings: Any) -> None:
    own = protect_self()
    assert own is not None
    backup = back_up(own)
    assert backup.status == Status.COMPLETED
    path = Path(disk.path) / backup.copies.get().key
    kit = take_kit(by_name="ada")
    unpack(kit, tmp_path / "wrong")
    (tmp_path / "wrong/data/keys/age_identity").write_text(generate_identity()[0] + "\n")
    assert fetch(tmp_path / "wrong", "fetch-disk.sh").returncode != 0
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    unpack(kit, tmp_path / "damaged")
    assert fetch(tmp_path / "damaged", "fetch-disk.sh").returncode != 0
    for folder in ("wrong", "damaged"):
        assert not (tmp_path / folder / "data" / "backupsite.sqlite3").exists()


def await_next_second() -> None:
    """The newest is looked for by the names of objects, which tell seconds."""
    began = int(time.time())
    while int(time.time()) == began:
        time.sleep(0.02)


def test_from_a_bucket_under_any_prefix(on: None, s3: S3Server, s3_bucket: str, tmp_path: Path) -> None:
    place = s3_destination(s3, s3_bucket, prefix="deep/er pre+fix&/")
    own = protect_self()
    assert own is not None
    old = back_up(own)
    await_next_second()
    new = back_up(own)
    assert {old.status, new.status} == {Status.COMPLETED}
    kit = take_kit(by_name="ada")
    assert Copy.objects.get(backup=new).key in kit
    unpack(kit, tmp_path / "new")
    done = fetch(tmp_path / "new", f"fetch-{place.pk}.sh")
    assert done.returncode == 0, done.stderr
    assert new.pk in done.stderr
    sidecar = next((tmp_path / "new").glob("*.manifest.json"))
    assert json.loads(sidecar.read_text())["backup"]["id"] == new.pk


def test_a_store_that_refuses_the_login_is_no_empty_store(
    on: None, s3: S3Server, s3_bucket: str, tmp_path: Path
) -> None:
    place = s3_destination(s3, s3_bucket)
    unpack(take_kit(by_name="ada"), tmp_path / "new")
    login = tmp_path / "new" / f"login-{place.pk}"
    login.write_text(login.read_text().replace('password "', 'password "x'))
    done = fetch(tmp_path / "new", f"fetch-{place.pk}.sh")
    assert done.returncode not in (0, 1)
    assert "403" in done.stderr
    assert "There is no backup" not in done.stderr
