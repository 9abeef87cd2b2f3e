"""What a lost copy job was writing: kept when it is whole, and removed when it is not."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from backups.artefact import sidecar_key
from backups.destinations import open_storage
from backups.models import Backup, Copy, CopyJob
from backups.services import copy as copying
from backups.services.copy_objects import sidecar_of
from backups.services.ensure_copies import ensure_copies
from backups.services.place import place_database
from backups.services.prune import remove_deleting
from backups.services.request_copy import request_copy
from backups.services.settle import settle_lost
from databases.engines import registry
from databases.models import Database
from databases.services.save import save_database
from jobs.lease import LeaseLost
from jobs.models import Status
from jobs.registry import kind_of
from jobs.services.claim import claim
from jobs.services.sweep import end_lost
from tests.api import make_destination
from tests.backups.paper import SHEETS, PaperEngine
from tests.room import back_up, finish, local_destination

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Backup:
    """Of a Database that names two destinations; its copy at the second is still to be made."""
    monkeypatch.setitem(registry.ENGINES, "paper", PaperEngine)
    monkeypatch.setattr(PaperEngine, "before", staticmethod(lambda step: None))
    SHEETS.clear()
    local_destination(tmp_path / "disk")
    open_storage(make_destination(tmp_path / "far", pk="far", is_default=False)).prepare()
    values = {"id": "notes", "name": "Notes", "engine": "paper", "database_name": "notes"}
    database = save_database(database=Database(), values=values, create=True)
    made = back_up(database)
    place_database(database=database, destination_ids=["disk", "far"])
    assert made.status == Status.COMPLETED, made.error_message
    return made


def lost(backup: Backup) -> tuple[CopyJob, Copy]:
    """As a site's own backup knows it that was made while the copy ran: the rows are of then, the objects whole."""
    job = finish(request_copy(backup=backup, destination=backup.database.placements.get(position=1).destination))
    assert job.status == Status.COMPLETED, job.error_message
    past = timezone.now() - timedelta(hours=1)
    taken = {"status": Status.IN_PROGRESS, "lease_token": "0" * 32, "lease_expires_at": past}
    CopyJob.objects.filter(pk=job.pk).update(**taken, attempt=1, max_attempts=3)
    backup.copies.filter(destination="far").update(state=Copy.State.WRITING, readback="", verified_at=None)
    return job, backup.copies.get(destination="far")


def test_a_copy_that_was_whole_is_the_one_that_is_left(backup: Backup) -> None:
    job, copy = lost(backup)
    assert (settle_lost(), end_lost()) == (0, 1), "nothing is decided while its job holds it"
    Backup.objects.get(pk=backup.pk).copies.filter(destination="disk").delete()  # the disk went with the site
    assert settle_lost() == 1
    remove_deleting()
    copy.refresh_from_db()
    job.refresh_from_db()
    assert (copy.state, job.status) == (Copy.State.STORED, Status.CANCELLED)
    assert open_storage(copy.destination).stat(copy.key)
    assert (ensure_copies(), settle_lost()) == (1, 0), "and is copied back"


@pytest.mark.parametrize("source_is_good", [True, False])
def test_a_copy_that_is_still_to_be_adopted_is_left_alone(backup: Backup, source_is_good: bool) -> None:
    """A new site knows the backup from the first destination that was adopted, and gives the same numbers again."""
    _, copy = lost(backup)
    CopyJob.objects.all().delete()
    Copy.objects.filter(pk=copy.pk).delete()
    Backup.objects.update(copies_begun=0)
    if not source_is_good:
        near = backup.copies.get()
        open_storage(near.destination).delete(near.key)
    job = finish(request_copy(backup=backup, destination=copy.destination))
    assert job.status == (Status.COMPLETED if source_is_good else Status.FAILED)
    assert open_storage(copy.destination).stat(copy.key), "it may be the last good one"
    assert {one.attempt for one in backup.copies.filter(destination="far")} == ({3} if source_is_good else set())


@pytest.mark.parametrize("lacking", ["artefact", "sidecar"])
def test_what_was_not_whole_goes_and_is_made_again(backup: Backup, lacking: str) -> None:
    _, copy = lost(backup)
    open_storage(copy.destination).delete(copy.key if lacking == "artefact" else sidecar_key(copy.key))
    end_lost()
    assert settle_lost() == 1
    remove_deleting()
    assert not backup.copies.filter(destination="far").exists()
    assert list(open_storage(copy.destination).list()) == []


def test_who_wakes_up_late_leaves_alone_what_was_found_whole(backup: Backup, monkeypatch: pytest.MonkeyPatch) -> None:
    place = backup.database.placements.get(position=1).destination
    job = request_copy(backup=backup, destination=place)
    lease = claim(kind=kind_of("copy"), job_id=job.pk, worker="test")
    assert lease is not None

    def overtaken(key: str) -> str:
        body = json.dumps(sidecar_of(copy=Copy.objects.get(key=key), index={}))
        open_storage(place).write_text(sidecar_key(key), body)
        past = timezone.now() - timedelta(hours=1)
        CopyJob.objects.filter(pk=job.pk).update(lease_expires_at=past)
        assert (end_lost(), settle_lost()) == (1, 1)
        lease._abort(LeaseLost("overtaken"))
        return sidecar_key(key)

    monkeypatch.setattr(copying, "sidecar_key", overtaken)
    with pytest.raises(LeaseLost):
        kind_of("copy").run(lease.job, lease)
    copy = backup.copies.get(destination="far")
    assert copy.state == Copy.State.STORED
    assert open_storage(place).stat(copy.key)
