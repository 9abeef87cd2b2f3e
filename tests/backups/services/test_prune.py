"""What is to go goes, and what cannot go yet keeps nobody waiting."""

from pathlib import Path

import pytest

from backups.destinations import open_storage
from backups.models import Backup, Copy, Destination
from backups.services.prune import remove_deleting
from backups.storage.base import ObjectStorage
from jobs.errors import BackupError
from jobs.models import Status
from tests.api import make_backup, make_database, make_destination

pytestmark = pytest.mark.django_db


def test_a_silent_destination_is_asked_once_a_round_and_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, silent = make_database(), make_destination(pk="silent")
    disk = make_destination(tmp_path / "disk", pk="disk", is_default=False)
    open_storage(disk).prepare()
    for destination in (silent, silent, disk):
        make_backup(database, destination=destination, status=Status.DELETING)
    Copy.objects.update(state=Copy.State.DELETING)
    asked: list[str] = []

    def opened(destination: Destination) -> ObjectStorage:
        asked.append(destination.pk)
        if destination.pk == "silent":
            raise BackupError("No answer.", code="destination_unreachable")
        return open_storage(destination)

    monkeypatch.setattr("backups.services.prune.open_storage", opened)
    assert remove_deleting() == 1
    assert (asked, Backup.objects.count()) == (["silent", "disk"], 2)
