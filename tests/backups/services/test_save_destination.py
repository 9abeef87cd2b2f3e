"""A Destination stays where its copies are."""

from pathlib import Path

import pytest

from backups.models import Copy, Destination
from backups.services import save_destination as saving
from backups.services.run import _begin_copy
from backups.services.save_destination import delete_destination, save_destination
from jobs.errors import BackupError
from tests.api import make_backup, make_database, make_destination


@pytest.mark.django_db
def test_a_run_writes_where_its_destination_is_when_the_copy_is_recorded(tmp_path: Path) -> None:
    """Moved between the start of the run and its first byte: the copy must not be sought where it never was."""
    read_at_the_start = make_destination(tmp_path / "old")
    backup = make_backup(make_database())
    there = Destination.objects.get()
    save_destination(destination=there, values={"path": str(tmp_path / "new")}, create=False)
    assert _begin_copy(backup, read_at_the_start, ".dump").destination.path == str(tmp_path / "new")
    with pytest.raises(BackupError) as raised:
        save_destination(destination=there, values={"path": str(tmp_path / "newer")}, create=False)
    assert raised.value.code == "wrong_state"
    assert Copy.objects.get().destination.path == str(tmp_path / "new")


@pytest.mark.django_db
def test_one_that_comes_into_use_while_it_is_deleted_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    destination, database = make_destination(tmp_path), make_database()

    def meanwhile(pk: str) -> int:
        make_backup(database, destination=Destination.objects.get())
        return 0

    monkeypatch.setattr(saving, "other_objects", meanwhile)
    with pytest.raises(BackupError) as raised:
        delete_destination(destination=destination)
    assert raised.value.code == "wrong_state"
    assert Destination.objects.count() == 1


@pytest.mark.django_db
def test_a_run_whose_destination_was_deleted_as_it_began_says_so(tmp_path: Path) -> None:
    destination = make_destination(tmp_path)
    read_at_the_start = Destination.objects.get()
    backup = make_backup(make_database())
    delete_destination(destination=destination)
    with pytest.raises(BackupError) as raised:
        _begin_copy(backup, read_at_the_start, ".dump")
    assert (raised.value.code, raised.value.permanent) == ("destination_deleted", True)
