"""A service's records go out and come back equal, and their artefact opens with stock tools alone."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backups.by_hand import load_by_hand
from backups.destinations import open_storage
from backups.models import Backup
from backups.pipeline.keys import generate_identity
from backups.services.read_data import read_data
from backups.services.request_records import request_records
from backups.storage.base import ObjectStorage
from jobs.models import LogLine, Status
from tests.databases.engines.http_service.services import FORMS
from tests.journeys.test_postgres_out_and_back import fetch
from tests.room import back_up, finish, local_destination, register_service, restore_into, verify
from tests.servers import scripts
from tests.servers.records import RecordsServer, order, sample, start_records, user

pytestmark = pytest.mark.django_db(transaction=True)

CANARY = "c4nary-token"
LATER, LATEST = "2999-01-01T00:00:00Z", "2999-01-02T00:00:00Z"
ROWS = {"records_path": "data.items", "pagination": "page", "since_param": "since"}


@pytest.fixture(autouse=True)
def newest_clients() -> None:
    """No PostgreSQL is needed here."""


@pytest.fixture
def crm(records_service: RecordsServer) -> RecordsServer:
    sample(records_service, 250)
    records_service.token = CANARY
    return records_service


@pytest.fixture
def target() -> Iterator[RecordsServer]:
    with start_records() as service:
        yield service


@pytest.fixture
def storage(tmp_path: Path) -> ObjectStorage:
    return open_storage(local_destination(tmp_path / "disk"))


def signed(**options: Any) -> dict[str, Any]:
    return {**ROWS, "auth": "bearer", "token": CANARY, **options}


def completed(backup: Backup) -> Backup:
    assert (backup.status, backup.error_message) == (Status.COMPLETED, "")
    return backup


def lines_of(command: str, **places: Any) -> list[Any]:
    text = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command.format(**places)], check=True, stdout=subprocess.PIPE
    ).stdout
    return [json.loads(line) for line in text.splitlines()]


def test_a_chain_comes_back_encrypted_and_opens_with_stock_tools(
    crm: RecordsServer, target: RecordsServer, storage: ObjectStorage, tmp_path: Path
) -> None:
    identity, recipient = generate_identity()
    keys: dict[str, Any] = {"compression": "zstd", "encryption": "age", "encryption_recipients": [recipient]}
    source = register_service(crm, options=signed(), **keys)
    chain = [completed(back_up(source))]
    crm.collections["users"] |= {str(n): user(n, updated_at=LATER) for n in (3, 251)}
    crm.collections["orders"]["501"] = order(501, updated_at=LATER)
    chain.append(completed(back_up(source, type="incremental")))
    crm.collections["users"]["3"] = user(3, updated_at=LATEST)
    chain.append(completed(back_up(source, type="incremental")))
    assert [backup.parent_id for backup in chain] == [None, chain[0].pk, chain[1].pk]
    assert [backup.manifest["engine"]["counts"] for backup in chain] == [
        {"users": 250, "orders": 500},
        {"users": 2, "orders": 1},
        {"users": 2, "orders": 1},
    ]

    restore = restore_into(register_service(target, options=ROWS, id="other"), chain[-1], identity=identity)
    assert (restore.status, restore.error_message) == (Status.COMPLETED, "")
    assert target.collections == crm.collections
    assert verify(chain[-1], identity=identity).status == Status.COMPLETED

    key = tmp_path / "key.txt"
    key.write_text(identity + "\n")
    file = fetch(storage, chain[0], tmp_path)
    assert file.name.endswith(".ndjson.zst.age")
    users = "age -d -i {key} {file} | zstd -dc | jq -c 'select(.collection == \"users\").record'"
    assert lines_of(users, key=key, file=file)[3:] == crm.records("users")[3:250]
    tagged = lines_of("age -d -i {key} {file} | zstd -dc", key=key, file=file)
    assert [line["record"] for line in tagged if line["collection"] == "orders"] == crm.records("orders")[:500]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_every_form_of_answer_goes_out_and_back(
    crm: RecordsServer, target: RecordsServer, storage: ObjectStorage, form: str, compression: str
) -> None:
    crm.token = ""
    source = register_service(crm, form, options=FORMS[form], compression=compression)
    backup = completed(back_up(source))
    assert verify(backup).status == Status.COMPLETED
    assert restore_into(register_service(target, form, options=FORMS[form], id="other"), backup).report["counts"] == {
        "users": 250,
        "orders": 500,
    }
    assert target.collections == crm.collections


def test_commands_by_hand_post_the_records_as_they_are(
    crm: RecordsServer, target: RecordsServer, storage: ObjectStorage, tmp_path: Path
) -> None:
    for name in ("users", "orders"):
        crm.fill(name, [{"id": number, "big": 12345678901234567890 + number} for number in range(40)])
    for collection, take in (("users", "users"), ("users, orders", "orders")):
        source = register_service(crm, options=signed(collection=collection), id=f"crm-{take}")
        backup = completed(back_up(source))
        file = fetch(storage, backup, tmp_path)
        commands = load_by_hand(backup=backup, file=file.name)
        command = " && ".join(commands).replace("COLLECTION", take).replace("RESTORE_URL", f"{target.url}/in/{take}")
        subprocess.run(["bash", "-o", "pipefail", "-c", command], check=True, capture_output=True, cwd=tmp_path)
    assert target.collections == crm.collections


def test_nothing_new_is_an_empty_artefact_that_is_whole(
    crm: RecordsServer, target: RecordsServer, storage: ObjectStorage
) -> None:
    crm.fill("users", [user(1, updated_at="2000-01-01T00:00:00Z")])
    source = register_service(crm, options=signed(collection="users"), compression="none")
    completed(back_up(source))
    backup = completed(back_up(source, type="incremental"))
    assert (backup.type, backup.original_size, backup.manifest["engine"]["records"]) == ("incremental", 0, 0)
    assert verify(backup).status == Status.COMPLETED
    restore = restore_into(register_service(target, options=ROWS, id="other"), backup)
    assert (restore.status, restore.error_message) == (Status.COMPLETED, "")
    assert target.collections["users"] == crm.collections["users"]


def test_a_service_that_was_set_otherwise_begins_a_new_chain(crm: RecordsServer, storage: ObjectStorage) -> None:
    source = register_service(crm, options=signed())
    completed(back_up(source))
    source.options = {**source.options, "collection": "users"}
    source.save()
    assert completed(back_up(source, type="incremental")).type == "full"


def test_one_collection_is_asked_for_by_name_and_read_back(crm: RecordsServer, storage: ObjectStorage) -> None:
    register_service(crm, options=signed())
    backup = completed(finish(request_records(service_name="crm", collection="users")))
    assert (backup.type, backup.collection, backup.file_count) == ("selective", "users", 1)
    assert read_data(backup=backup) == crm.records("users")


@pytest.mark.parametrize(
    "script",
    [
        scripts.body(b"[1, 2", length=500),
        scripts.chunks(b'{"data": {"items": [1, 2]}}', end=False),
        scripts.body(b'{"data": {"items": [1, 2'),
        scripts.body(b"<html>welcome</html>", type="text/html"),
        scripts.status(401, body={"token": CANARY}),
    ],
)
def test_half_an_answer_stores_nothing_and_leaves_the_last_backup_alone(
    crm: RecordsServer, storage: ObjectStorage, script: scripts.Script, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr("databases.engines.http_service.wire.Wire.pauses_s", ())
    settings.BACKUPSITE_MAX_ATTEMPTS = 1
    source = register_service(crm, options=signed(headers={"X-Key": CANARY}))
    good = completed(back_up(source))
    kept = set(storage.list())
    crm.script.extend([scripts.as_always, script])
    backup = back_up(source)
    assert backup.status == Status.FAILED
    told = [backup.error_message, backup.error_hint, *LogLine.objects.values_list("message", flat=True)]
    assert backup.error_message and CANARY not in "".join(told)
    assert set(storage.list()) == kept
    good.refresh_from_db()
    assert good.status == Status.COMPLETED
    assert verify(good).status == Status.COMPLETED
