"""The commands on a backup's page really restore its artefact, with stock tools alone."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backups.by_hand import restore_by_hand
from backups.models import Backup, Destination
from backups.pipeline.keys import generate_identity
from backups.services.request import request_backup
from databases.models import Database
from databases.services.save import save_database
from jobs.services.run import run_job
from tests.room import back_up, local_destination, register, register_bucket, s3_destination
from tests.servers.mongodb import MongoServer
from tests.servers.postgres import PostgresServer
from tests.servers.s3 import S3Server

S3 = Destination(kind="s3", bucket="vault", prefix="night/", endpoint_url="https://s3.example.org")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("options", [{"format": "custom"}, {"format": "plain"}], ids=lambda value: value["format"])
@pytest.mark.parametrize("compression", ["zstd", "gzip", "none"])
@pytest.mark.parametrize("encryption", ["none", "age"])
def test_the_commands_restore_the_artefact(
    postgres18: PostgresServer,
    fresh_database: Callable[[PostgresServer], str],
    tmp_path: Path,
    settings: Any,
    options: dict[str, str],
    compression: str,
    encryption: str,
) -> None:
    settings.BACKUPSITE_ENGINE_SETTINGS = {"pg_bin_dirs": [str(postgres18.bin_dir)]}
    identity, recipient = generate_identity()
    source, target = fresh_database(postgres18), fresh_database(postgres18)
    postgres18.psql("CREATE TABLE t AS SELECT n, md5(n::text) AS h FROM generate_series(1, 2000) n", source)
    disk = local_destination(tmp_path / "the folder")
    values = {"compression": compression, "encryption": encryption, "encryption_recipients": [recipient]}
    database = register(postgres18, source, options=options, **values)
    backup = request_backup(database=database)
    run_job(kind_name="backup", job_id=backup.pk)
    backup.refresh_from_db()

    room = tmp_path / "elsewhere"
    room.mkdir()
    (room / "key.txt").write_text(identity)
    commands = restore_by_hand(backup=backup, destination=disk, key=backup.copies.get().key)
    environment = {**postgres18.environment(), "PATH": f"{postgres18.bin_dir}:{os.environ['PATH']}"}
    shell([line.replace("TARGET", target) for line in commands], room, environment)
    rows = "SELECT count(*), md5(string_agg(h, '' ORDER BY n)) FROM t"
    assert postgres18.psql(rows, target) == postgres18.psql(rows, source)


def shell(commands: list[str], room: Path, environment: dict[str, str] | None = None) -> None:
    """As an operator would paste them, in an empty folder."""
    script = "set -eo pipefail\n" + "\n".join(commands)
    done = subprocess.run(
        ["bash", "-c", script], cwd=room, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{script}\n{done.stderr}"


def commands_of(backup: Backup) -> list[str]:
    copy = backup.copies.select_related("destination").get()
    return restore_by_hand(backup=backup, destination=copy.destination, key=copy.key)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("encryption", ["none", "age"])
def test_the_commands_of_an_incremental_unpack_its_chain(
    s3: S3Server, s3_bucket: str, tmp_path: Path, encryption: str
) -> None:
    """What was deleted between the backups is gone, and what could be a path out of the folder stays alone."""
    identity, recipient = generate_identity()
    local_destination(tmp_path / "the folder")
    values = {"encryption": encryption, "encryption_recipients": [recipient]}
    database = register_bucket(s3, s3_bucket, scheduled_type="incremental", **values)
    client = s3.client()
    for key in ("images/old name.jpg", "images/kept.jpg", "-rf"):
        client.put_object(Bucket=s3_bucket, Key=key, Body=b"first")
    client.put_object(Bucket=s3_bucket, Key="key.txt", Body=b"of the bucket")
    assert back_up(database).status == "completed"
    client.delete_object(Bucket=s3_bucket, Key="images/old name.jpg")
    client.delete_object(Bucket=s3_bucket, Key="-rf")
    client.put_object(Bucket=s3_bucket, Key="images/new.jpg", Body=b"second")
    client.put_object(Bucket=s3_bucket, Key="images/kept.jpg", Body=b"other")
    client.close()
    backup = back_up(database, type="incremental")
    assert (backup.status, backup.type) == ("completed", "incremental")
    room = tmp_path / "elsewhere"
    room.mkdir()
    (room / "key.txt").write_text(identity)
    shell(commands_of(backup), room)
    files = room / "restored"
    found = {str(path.relative_to(files)): path.read_bytes() for path in files.rglob("*") if path.is_file()}
    found = {name: content for name, content in found.items() if not name.startswith(".backupsite/")}
    assert found == {"images/kept.jpg": b"other", "images/new.jpg": b"second", "key.txt": b"of the bucket"}
    assert (room / "key.txt").read_text() == identity


@pytest.mark.django_db(transaction=True)
def test_the_commands_restore_collections(
    mongodb_server: MongoServer, fresh_mongo_database: Callable[[], str], tmp_path: Path, settings: Any
) -> None:
    settings.BACKUPSITE_ENGINE_SETTINGS = {"mongo_bin_dirs": [str(mongodb_server.tools_dir)]}
    name = fresh_mongo_database()
    with mongodb_server.client() as client:
        client[name].orders.insert_many([{"_id": number} for number in range(50)])
    identity, recipient = generate_identity()
    local_destination(tmp_path / "disk")
    values = {
        "engine": "mongodb",
        "name": name,
        "host": mongodb_server.host,
        "port": mongodb_server.port,
        "username": mongodb_server.user,
        "password": mongodb_server.password,
        "database_name": name,
        "encryption": "age",
        "encryption_recipients": [recipient],
    }
    backup = back_up(save_database(database=Database(), values=values, create=True))
    assert backup.status == "completed", backup.error_message
    with mongodb_server.client() as client:
        client.drop_database(name)
    room = tmp_path / "elsewhere"
    room.mkdir()
    (room / "key.txt").write_text(identity)
    (room / "target.yaml").write_text(f'uri: "{mongodb_server.uri()}"\n')
    path = f"{mongodb_server.tools_dir}:{os.environ['PATH']}"
    shell(commands_of(backup), room, {**os.environ, "PATH": path})
    with mongodb_server.client() as client:
        assert client[name].orders.count_documents({}) == 50


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(shutil.which("aws") is None, reason="the tool of S3 is not on this machine")
def test_the_commands_fetch_from_a_bucket(
    postgres18: PostgresServer,
    fresh_database: Callable[[PostgresServer], str],
    s3: S3Server,
    s3_bucket: str,
    tmp_path: Path,
    settings: Any,
) -> None:
    settings.BACKUPSITE_ENGINE_SETTINGS = {"pg_bin_dirs": [str(postgres18.bin_dir)]}
    source, target = fresh_database(postgres18), fresh_database(postgres18)
    postgres18.psql("CREATE TABLE t AS SELECT 42 AS n", source)
    s3_destination(s3, s3_bucket, prefix="night shift/")
    backup = back_up(register(postgres18, source))
    keys = {"AWS_ACCESS_KEY_ID": s3.access_key, "AWS_SECRET_ACCESS_KEY": s3.secret_key, "AWS_REGION": s3.region}
    path = f"{postgres18.bin_dir}:{os.environ['PATH']}"
    commands = [line.replace("TARGET", target) for line in commands_of(backup)]
    shell(commands, tmp_path, {**postgres18.environment(), **keys, "PATH": path, "HOME": os.environ["HOME"]})
    assert postgres18.psql("SELECT n FROM t", target).strip() == "42"


def test_a_bucket_is_read_with_its_own_tool() -> None:
    backup = Backup(engine="postgres", compression="zstd", encryption="none")
    fetch = restore_by_hand(backup=backup, destination=S3, key="shop/2026/03/shop.dump.zst")[0]
    assert fetch == "aws s3 cp --endpoint-url https://s3.example.org s3://vault/night/shop/2026/03/shop.dump.zst ."
