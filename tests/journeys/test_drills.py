"""Backups of every other engine are drilled as operators ask for it; a chain is read as a whole."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from backups.models import Backup, Drill
from backups.services.request_drill import request_drill
from databases.models import Database
from databases.services.save import save_database
from jobs.models import Status
from jobs.selectors import log_text
from tests.databases.engines.mongodb.sample import fill as fill_mongo
from tests.databases.engines.s3_bucket.buckets import fill, keys_of
from tests.journeys.test_http_out_and_back import signed
from tests.journeys.test_mongodb_out_and_back import register
from tests.room import back_up, finish, local_destination, register_bucket, register_service
from tests.servers.mongodb import MongoServer
from tests.servers.records import RecordsServer, sample, user
from tests.servers.s3 import S3Server

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def newest_clients(tmp_path: Path) -> None:
    """No PostgreSQL is needed here, but a place for backups."""
    local_destination(tmp_path / "disk")


def proven(backup: Backup, query: Any, value: Any, **asked: Any) -> Drill:
    """Drilled with one assertion that holds, and failing one that does not."""
    assert backup.status == Status.COMPLETED, backup.error_message
    holds = {"name": "holds", "query": query, "operator": "==", "value": value}
    done = finish(request_drill(backup=backup, assertions=[holds], **asked))
    assert done.status == Status.COMPLETED, (done.error_message, log_text(done))
    assert done.report["comparison"]["checked"] and done.scratch == ""
    wrong = {**holds, "operator": "!="}
    failed = finish(request_drill(backup=backup, assertions=[wrong], **asked))
    assert (failed.status, failed.error_code) == (Status.FAILED, "not_proven"), failed.error_message
    return done


def test_a_chain_of_a_bucket(s3: S3Server) -> None:
    source, other = s3.make_bucket(), s3.make_bucket()
    fill(s3, source, {f"images/{n}.jpg": b"x" * n for n in range(5)})
    bucket = register_bucket(s3, source, id="images")
    server = register_bucket(s3, other, id="drills")
    full = back_up(bucket)
    fill(s3, source, {"images/new.jpg": b"new"})
    incremental = back_up(bucket, type="incremental")
    done = proven(incremental, {"prefix": "images/"}, 6, server=server)
    assert done.report["chain"] == [full.pk, incremental.pk] and len(done.report["read_from"]) == 2
    assert not keys_of(s3, other)
    full.refresh_from_db()
    incremental.refresh_from_db()
    assert incremental.proven_at and not full.proven_at, "what was drilled is proven"


def test_the_records_of_a_service(records_service: RecordsServer) -> None:
    sample(records_service, 20)
    records_service.token = "c4nary-token"
    service = register_service(records_service, options=signed())
    back_up(service)
    records_service.collections["users"]["21"] = user(21, updated_at="2999-01-01T00:00:00Z")
    proven(back_up(service, type="incremental"), {"count": "users"}, 21)


def test_a_mongo_database(mongodb_server: MongoServer, fresh_mongo_database: Callable[[], str], settings: Any) -> None:
    settings.BACKUPSITE_ENGINE_SETTINGS = {"mongo_bin_dirs": [str(mongodb_server.tools_dir)]}
    name = fresh_mongo_database()
    with mongodb_server.client() as client:
        fill_mongo(client[name])
    server = register(mongodb_server, fresh_mongo_database())
    proven(back_up(register(mongodb_server, name)), {"collection": "orders"}, 6000, server=server)
    with mongodb_server.client() as client:
        assert not [found for found in client.list_database_names() if found.startswith("bsdrill")]


def test_an_sqlite_file(tmp_path: Path, settings: Any) -> None:
    path = tmp_path / "notes.sqlite3"
    with closing(sqlite3.connect(path)) as notes:
        notes.executescript("CREATE TABLE note (id INTEGER PRIMARY KEY); INSERT INTO note VALUES (1), (2);")
    settings.BACKUPSITE_ENGINE_SETTINGS = {"sqlite_folders": [str(tmp_path)]}
    values = {"id": "notes", "name": "notes", "engine": "sqlite", "options": {"path": str(path)}}
    database = save_database(database=Database(), values=values, create=True)
    proven(back_up(database), {"sql": "SELECT count(*) FROM note"}, 2)
