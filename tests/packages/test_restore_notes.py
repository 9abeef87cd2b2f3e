"""The commands of a package's RESTORE.txt, as an operator pastes them, put back every Database and no other's files."""

import sqlite3
import subprocess
from pathlib import Path

import pytest
from django.conf import LazySettings

from databases.models import Database
from databases.services.save import save_database
from tests.databases.engines.s3_bucket.buckets import clear, fill
from tests.packages.conftest import pack, unpack
from tests.room import back_up, local_destination, register_bucket
from tests.servers.s3 import S3Server

pytestmark = pytest.mark.django_db(transaction=True)


def run_notes(folder: Path) -> None:
    _, mark, commands = (folder / "RESTORE.txt").read_text().partition("\n# ")
    subprocess.run(["bash", "-eo", "pipefail", "-c", mark + commands], cwd=folder, check=True)


def restored(folder: Path) -> dict[str, bytes]:
    files = (path for path in (folder / "restored").rglob("*") if path.is_file())
    found = {str(path.relative_to(folder / "restored")): path.read_bytes() for path in files}
    return {name: content for name, content in found.items() if "/.backupsite/" not in name}


@pytest.mark.parametrize("compression", ["zstd", "none"])
def test_buckets_with_the_same_keys_stay_apart(s3: S3Server, tmp_path: Path, compression: str) -> None:
    """What one of them deleted since its full backup is not removed from the other."""
    local_destination(tmp_path / "disk")
    cold, hot = s3.make_bucket(), s3.make_bucket()
    # The chain comes last, when the other's files lie there already: packages are in the order of the ids.
    other = register_bucket(s3, cold, id="a-cold", package=True, compression=compression)
    chain = register_bucket(s3, hot, id="b-hot", package=True, compression=compression, scheduled_type="incremental")
    fill(s3, cold, {"logo.png": b"cold logo", "old.png": b"cold old", "RESTORE.txt": b"cold notes"})
    fill(s3, hot, {"logo.png": b"hot logo", "old.png": b"hot old"})
    assert [back_up(one).status for one in (other, chain)] == ["completed", "completed"]
    clear(s3, hot, ["old.png"])
    fill(s3, hot, {"logo.png": b"hot logo 2"})
    assert back_up(chain, type="incremental").type == "incremental"
    folder = unpack(pack(), tmp_path)
    run_notes(folder)
    assert restored(folder) == {
        "a-cold/logo.png": b"cold logo",
        "a-cold/old.png": b"cold old",
        "a-cold/RESTORE.txt": b"cold notes",
        "b-hot/logo.png": b"hot logo 2",
    }


def test_files_of_sqlite_stay_apart(tmp_path: Path, settings: LazySettings) -> None:
    local_destination(tmp_path / "disk")
    settings.BACKUPSITE_ENGINE_SETTINGS = {"sqlite_folders": [str(tmp_path)], "sqlite_temporary": str(tmp_path / "tmp")}
    for name in ("shop", "till"):
        path = tmp_path / f"{name}.sqlite3"
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE whose AS SELECT ? AS name", [name])
        connection.close()
        values = {"id": name, "name": name, "engine": "sqlite", "options": {"path": str(path)}, "package": True}
        assert back_up(save_database(database=Database(), values=values, create=True)).status == "completed"
    folder = unpack(pack(), tmp_path)
    run_notes(folder)
    for name in ("shop", "till"):
        connection = sqlite3.connect(folder / "restored" / name / "restored.sqlite3")
        assert connection.execute("SELECT name FROM whose").fetchall() == [(name,)]
        connection.close()
