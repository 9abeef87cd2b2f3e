"""A MongoDB database goes out and comes back equal, and its artefact opens with stock tools alone."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backups.destinations import open_storage
from backups.pipeline.keys import generate_identity
from backups.storage.base import ObjectStorage
from databases.models import Database
from databases.services.save import save_database
from jobs.models import Status
from tests.databases.engines.mongodb.conftest import content
from tests.databases.engines.mongodb.sample import fill
from tests.journeys.test_postgres_out_and_back import fetch
from tests.room import back_up, local_destination, restore_into, s3_destination, verify
from tests.servers.mongodb import MongoServer
from tests.servers.s3 import S3Server

pytestmark = pytest.mark.django_db(transaction=True)

Fresh = Callable[[], str]


@pytest.fixture(autouse=True)
def tools(newest_clients: None, settings: Any, mongodb_server: MongoServer) -> None:
    settings.BACKUPSITE_ENGINE_SETTINGS = {"mongo_bin_dirs": [str(mongodb_server.tools_dir)]}
    settings.BACKUPSITE_MAX_ATTEMPTS = 1


@pytest.fixture
def shop(mongodb_server: MongoServer, fresh_mongo_database: Fresh) -> str:
    name = fresh_mongo_database()
    with mongodb_server.client() as client:
        fill(client[name])
    return name


@pytest.fixture(params=["local", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path, db: None) -> ObjectStorage:
    if request.param == "local":
        return open_storage(local_destination(tmp_path / "disk"))
    server: S3Server = request.getfixturevalue("s3")
    return open_storage(s3_destination(server, request.getfixturevalue("s3_bucket")))


def register(server: MongoServer, name: str, **values: Any) -> Database:
    given = {
        "name": name,
        "engine": "mongodb",
        "host": server.host,
        "port": server.port,
        "username": server.user,
        "password": server.password,
        "database_name": name,
    }
    return save_database(database=Database(), values={**given, **values}, create=True)


def test_out_and_back_is_equal_and_stock_tools_alone_restore_it(
    shop: str, mongodb_server: MongoServer, fresh_mongo_database: Fresh, storage: ObjectStorage, tmp_path: Path
) -> None:
    identity, recipient = generate_identity()
    source = register(mongodb_server, shop, compression="zstd", encryption="age", encryption_recipients=[recipient])
    backup = back_up(source)
    assert (backup.status, backup.error_message) == (Status.COMPLETED, "")
    copy = backup.copies.get()
    assert copy.key.endswith(".archive.zst.age")
    sidecar = json.loads(storage.read_text(copy.key + ".manifest.json"))
    assert sidecar["engine"]["counts"][f"{shop}.orders"] == 6000
    assert verify(backup, identity=identity).status == Status.COMPLETED

    target = register(mongodb_server, fresh_mongo_database())
    restore = restore_into(target, backup, identity=identity)
    assert (restore.status, restore.error_message) == (Status.COMPLETED, "")
    assert content(mongodb_server, target.database_name) == content(mongodb_server, shop)

    by_hand = fresh_mongo_database()
    key, config = tmp_path / "key.txt", tmp_path / "target.yaml"
    key.write_text(identity + "\n")
    config.write_text(f'uri: "{mongodb_server.uri()}"\n')
    restoring = f"{mongodb_server.tools_dir}/mongorestore --config={config} --stopOnError --archive"
    command = f"age -d -i {key} {fetch(storage, backup, tmp_path)} | zstd -dc | "
    command += f"{restoring} --nsFrom='{shop}.*' --nsTo='{by_hand}.*'"
    subprocess.run(["bash", "-o", "pipefail", "-c", command], check=True, stderr=subprocess.DEVNULL)
    assert content(mongodb_server, by_hand) == content(mongodb_server, shop)


def test_a_wrong_password_fails_leaves_no_object_and_no_older_backup_suffers(
    shop: str, mongodb_server: MongoServer, tmp_path: Path
) -> None:
    local_destination(tmp_path / "disk")
    database = register(mongodb_server, shop)
    good = back_up(database)
    before = {path for path in (tmp_path / "disk").rglob("*") if path.is_file()}
    save_database(database=database, values={"password": "wr0ng-c4nary"}, create=False)
    failed = back_up(database)
    assert (failed.status, failed.error_code) == (Status.FAILED, "wrong_password")
    assert failed.error_hint
    assert "c4nary" not in failed.error_message
    assert {path for path in (tmp_path / "disk").rglob("*") if path.is_file()} == before
    good.refresh_from_db()
    assert good.status == Status.COMPLETED


def test_a_uri_alone_is_enough_and_is_a_secret(shop: str, mongodb_server: MongoServer, tmp_path: Path) -> None:
    local_destination(tmp_path / "disk")
    database = register(
        mongodb_server, shop, host="", port=None, username="", password="", options={"uri": mongodb_server.uri()}
    )
    assert mongodb_server.password not in str(database.options)
    assert "options.uri" in database.secret_names
    assert back_up(database).status == Status.COMPLETED
