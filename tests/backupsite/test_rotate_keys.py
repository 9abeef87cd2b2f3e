"""Stored secrets move to a new key, beside a running site, and an old key goes only when nothing needs it."""

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.utils import timezone

from backups.models import Destination
from backupsite.management import rotation, sealed
from databases.models import Database
from jobs.errors import BackupError
from jobs.fields import unseal
from jobs.models import Process
from jobs.services.report_alive import report_alive

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


@pytest.fixture
def key_file(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("BACKUPSITE_ENCRYPTION_KEYS", raising=False)
    settings.KEYS_DIR = tmp_path
    file = tmp_path / "encryption_keys"
    file.write_text(OLD + "\n")
    settings.BACKUPSITE_ENCRYPTION_KEYS = [OLD]
    return file


@pytest.fixture
def secrets(transactional_db: None, key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More rows than a batch, in two models."""
    monkeypatch.setattr(sealed, "BATCH", 3)
    for number in range(7):
        Database(name=str(number), engine="postgres", secrets={"password": f"p{number}"}).save()  # type: ignore[misc]
    Destination(name="s3", kind="s3", bucket="b", secrets={"secret_key": "s"}).save()  # type: ignore[misc]


def passwords() -> list[str]:
    return [unseal(database.secrets)["password"] for database in Database.objects.order_by("name")]


@pytest.mark.usefixtures("secrets")
def test_every_secret_moves_to_the_first_key(settings: Any) -> None:
    settings.BACKUPSITE_ENCRYPTION_KEYS = [NEW, OLD]
    assert rotation.rotate() == (8, 0)
    assert rotation.rotate() == (0, 8)
    settings.BACKUPSITE_ENCRYPTION_KEYS = [NEW]
    assert passwords() == [f"p{number}" for number in range(7)]
    assert unseal(Destination.objects.get().secrets) == {"secret_key": "s"}


@pytest.mark.usefixtures("secrets")
def test_what_somebody_saves_meanwhile_stays(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.BACKUPSITE_ENCRYPTION_KEYS = [NEW, OLD]
    rotated = rotation._rotated

    def save_first(column: sealed.Column, key: object, token: str) -> str:
        row = column.model._default_manager.filter(pk=key)
        if column.model is Database and row.filter(name="3").exists():
            row.update(name="changed", secrets={"password": "new"})
        return rotated(column, key, token)

    monkeypatch.setattr(rotation, "_rotated", save_first)
    rotation.rotate()
    assert unseal(Database.objects.get(name="changed").secrets) == {"password": "new"}


@pytest.mark.usefixtures("secrets")
def test_a_secret_that_no_key_opens_is_told_and_left(settings: Any) -> None:
    settings.BACKUPSITE_ENCRYPTION_KEYS = [NEW]
    with pytest.raises(BackupError) as caught:
        rotation.rotate()
    assert caught.value.code == "missing_key"
    settings.BACKUPSITE_ENCRYPTION_KEYS = [OLD]
    assert passwords() == [f"p{number}" for number in range(7)]


@pytest.mark.usefixtures("secrets")
def test_an_old_key_is_kept_while_it_is_needed(settings: Any, key_file: Path) -> None:
    key_file.write_text(f"{NEW}\n{OLD}\n")
    settings.BACKUPSITE_ENCRYPTION_KEYS = [NEW, OLD]
    with pytest.raises(BackupError) as caught:
        rotation.prune()
    assert caught.value.code == "key_in_use"
    rotation.rotate()
    assert rotation.prune() == 1
    assert key_file.read_text() == NEW + "\n"


def test_a_new_key_goes_first_into_a_private_file(key_file: Path) -> None:
    call_command("rotate_keys", "--new")
    first, second = key_file.read_text().split()
    assert second == OLD
    Fernet(first)
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert list(key_file.parent.iterdir()) == [key_file]


def test_keys_of_the_environment_are_not_ours_to_change(key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKUPSITE_ENCRYPTION_KEYS", OLD)
    with pytest.raises(BackupError) as caught:
        rotation.add_key()
    assert caught.value.code == "keys_elsewhere"


@pytest.mark.usefixtures("secrets")
def test_a_container_that_started_again_under_its_old_name_is_no_process_of_before(
    settings: Any, key_file: Path
) -> None:
    settings.BACKUPSITE_ENCRYPTION_KEYS = [NEW, OLD]
    report_alive(role="worker")
    before = timezone.now() - timedelta(days=1)
    Process.objects.update(started_at=before)
    earlier = (before + timedelta(seconds=1)).timestamp()
    os.utime(key_file, (earlier, earlier))
    report_alive(role="worker")
    assert rotation.rotate()[0] == len(passwords()) + 1


@pytest.mark.usefixtures("secrets")
def test_nothing_moves_while_a_process_knows_only_the_old_key(settings: Any, key_file: Path) -> None:
    settings.BACKUPSITE_ENCRYPTION_KEYS = [NEW, OLD]
    report_alive(role="worker")
    later = time.time() + 5
    os.utime(key_file, (later, later))
    with pytest.raises(BackupError) as caught:
        rotation.rotate()
    assert caught.value.code == "restart_needed"
