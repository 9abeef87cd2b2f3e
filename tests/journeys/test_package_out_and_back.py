"""Databases go into one package and come back equal, with `unzip` or `tar` and the stock tools alone."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backups.pipeline.keys import generate_identity
from jobs.models import Status
from tests.packages.conftest import pack, unpack
from tests.room import back_up, local_destination, register, s3_destination
from tests.servers.postgres import PostgresServer
from tests.servers.s3 import S3Server

pytestmark = pytest.mark.django_db(transaction=True)

SOURCES: list[dict[str, Any]] = [
    {"compression": "zstd", "encryption": "age"},
    {"compression": "gzip", "options": {"format": "plain"}},
    {"compression": "none"},
]
SAMPLE = "CREATE TABLE item AS SELECT n AS id, md5(n::text || '{name}') AS note FROM generate_series(1, 3000) n"
SUM = "SELECT count(*), md5(string_agg(note, '' ORDER BY id)) FROM item"


def commands(notes: str, name: str) -> list[str]:
    """What RESTORE.txt says under the heading of one Database."""
    lines = notes[notes.index(f"# {name} (") :].splitlines()[1:]
    return lines[: lines.index("")] if "" in lines else lines


@pytest.mark.parametrize(("compression", "store"), [("zip", "local"), ("tar.gz", "s3")])
def test_each_member_restores_as_its_notes_say(
    postgres18: PostgresServer,
    fresh_database: Callable[[PostgresServer], str],
    request: pytest.FixtureRequest,
    settings: Any,
    tmp_path: Path,
    compression: str,
    store: str,
) -> None:
    identity, recipient = generate_identity()
    settings.BACKUPSITE_AGE_IDENTITIES, settings.BACKUPSITE_AGE_RECIPIENTS = [], [recipient]
    local_destination(tmp_path / "disk")
    sources = []
    for values in SOURCES:
        name = fresh_database(postgres18)
        postgres18.psql(SAMPLE.format(name=name), name)
        sources.append(register(postgres18, name, package=True, **values))
    for database in sources:
        assert back_up(database).status == Status.COMPLETED
    if store == "s3":  # from the folder into the bucket
        s3: S3Server = request.getfixturevalue("s3")
        s3_destination(s3, request.getfixturevalue("s3_bucket"), prefix="packed")
    package = pack(compression=compression, on_missing="fail")
    assert (package.status, package.error_message) == (Status.COMPLETED, "")

    folder = unpack(package, tmp_path)
    (folder / "key.txt").write_text(identity + "\n")
    notes = (folder / "RESTORE.txt").read_text()
    for database in sources:
        target = fresh_database(postgres18)
        script = "\n".join(commands(notes, database.name)).replace("TARGET", target)
        environment = {**postgres18.environment(), "PATH": f"{postgres18.bin_dir}:/usr/bin:/bin"}
        subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],
            cwd=folder,
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        assert postgres18.psql(SUM, target) == postgres18.psql(SUM, database.database_name)
