"""Records go back in batches, once each, the last only when the artefact's end is verified."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from databases.engines.base import RestoreRequest
from databases.engines.http_service import restore
from jobs.errors import BackupError
from tests.contracts.engines import RecordingGuard
from tests.databases.engines.http_service.services import dumped, engine_for
from tests.servers import scripts
from tests.servers.records import Asked, Handler, RecordsServer, sample, start_records


@pytest.fixture
def target() -> Iterator[RecordsServer]:
    with start_records() as service:
        yield service


def request(**values: Any) -> RestoreRequest:
    return RestoreRequest(guard=RecordingGuard(), **values)


def posts(service: RecordsServer) -> list[Asked]:
    return [asked for asked in service.asked if asked.method == "POST"]


def test_batches_hold_as_many_records_as_asked(records_service: RecordsServer, target: RecordsServer) -> None:
    sample(records_service, 25)
    found = dumped(records_service, collection="users,orders")
    engine = engine_for(target, collection="users,orders", restore_batch=10)
    report = engine.restore([found.source()], request())
    assert [len(json.loads(asked.body)) for asked in posts(target)] == [10, 10, 5, 10, 10, 10, 10, 10]
    assert target.collections == records_service.collections
    assert report.counts == {"users": 25, "orders": 50}
    assert report.notes
    assert len({asked.headers["idempotency-key"] for asked in posts(target)}) == 8


def test_large_records_make_small_batches(
    records_service: RecordsServer, target: RecordsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restore, "LARGEST_BATCH", 5000)
    records_service.fill("users", [{"id": number, "text": "x" * 1000} for number in range(20)])
    engine_for(target).restore([dumped(records_service).source()], request())
    assert {len(json.loads(asked.body)) for asked in posts(target)} == {4}
    assert target.collections == records_service.collections


def test_records_are_posted_as_they_were_written(records_service: RecordsServer, target: RecordsServer) -> None:
    text = b'{"id":12345678901234567890,"a":1e400,"a":-0,"b":"\\ud800"}'
    records_service.script.append(scripts.body(b"[%s]" % text))
    engine_for(target).restore([dumped(records_service).source()], request())
    assert posts(target)[0].body == b"[%s]" % text
    assert posts(target)[0].headers["content-type"] == "application/json"


def test_chosen_collections_are_restored_alone(records_service: RecordsServer, target: RecordsServer) -> None:
    sample(records_service, 5)
    found = dumped(records_service, collection="users,orders")
    report = engine_for(target, collection="users,orders").restore([found.source()], request(include=("orders",)))
    assert report.counts == {"orders": 10}
    assert set(target.collections) == {"orders"}
    with pytest.raises(BackupError) as raised:
        engine_for(target).restore([found.source()], request(include=("pets",)))
    assert raised.value.code == "nothing_matches"


def test_a_batch_that_may_pass_is_posted_again_under_the_same_key(
    records_service: RecordsServer, target: RecordsServer
) -> None:
    sample(records_service, 5)

    def took_it_and_failed(handler: Handler) -> bool:
        asked = handler.service.asked[-1]
        handler.service.keys[asked.headers["idempotency-key"]] = asked.body
        handler.service.fill("users", json.loads(asked.body))
        handler.send_json({}, 503)
        return True

    target.script.extend([scripts.as_always, took_it_and_failed, scripts.drop])
    engine_for(target).restore([dumped(records_service).source()], request())
    keys = [asked.headers["idempotency-key"] for asked in posts(target)]
    assert len(keys) == 3 and len(set(keys)) == 1
    assert target.collections["users"] == records_service.collections["users"]


def test_a_batch_that_is_refused_fails_with_what_the_service_says(
    records_service: RecordsServer, target: RecordsServer
) -> None:
    sample(records_service, 50)
    target.token = "canary-token"
    said = {"detail": "name is too long", "your": "Bearer canary-token", "more": "x" * 5000}
    target.script.extend([scripts.as_always, scripts.as_always, scripts.status(422, body=said)])
    engine = engine_for(target, restore_batch=20, auth="bearer", token="canary-token")
    with pytest.raises(BackupError) as raised:
        engine.restore([dumped(records_service).source()], request())
    assert (raised.value.code, raised.value.permanent) == ("refused", True)
    assert "422" in raised.value.message and "name is too long" in raised.value.message
    assert "canary" not in raised.value.message
    assert len(raised.value.message) < 500
    assert len(target.collections["users"]) == 20


def test_the_last_batch_waits_for_the_verified_end(records_service: RecordsServer, target: RecordsServer) -> None:
    records_service.fill("users", [{"id": number, "text": "x" * 200_000} for number in range(25)])
    found = dumped(records_service)
    corrupt = BackupError("digests differ", code="artefact_corrupt")
    short = replace(found, data=found.data[: found.data.rindex(b"\n", 0, -1) + 1])
    for source, code in ((found.source(fault=corrupt), "artefact_corrupt"), (short.source(), "structure")):
        target.collections.clear()
        with pytest.raises(BackupError) as raised:
            engine_for(target, restore_batch=6).restore([source], request())
        assert raised.value.code == code
        assert len(target.collections["users"]) == 18, "24 whole records are four batches"


def test_a_target_that_holds_records_is_refused_before_anything_is_posted(
    records_service: RecordsServer, target: RecordsServer
) -> None:
    sample(records_service, 5)
    found = dumped(records_service, collection="users,orders")
    target.fill("orders", [{"id": 1}])
    with pytest.raises(BackupError) as raised:
        engine_for(target, collection="users,orders").restore([found.source()], request())
    assert raised.value.code == "target_not_empty"
    assert posts(target) == []


@pytest.mark.parametrize(
    ("options", "collection"),
    [({"restore_url": ""}, "users"), ({"restore_url": "http://127.0.0.1:1/in"}, "users,orders")],
)
def test_a_restore_that_cannot_be_is_refused(
    records_service: RecordsServer, options: dict[str, Any], collection: str
) -> None:
    sample(records_service, 5)
    found = dumped(records_service, collection=collection)
    with pytest.raises(BackupError) as raised:
        engine_for(records_service, **options).restore([found.source()], request(drop_existing=True))
    assert (raised.value.code, raised.value.permanent) == ("unsupported", True)
    assert "restore_url" in raised.value.message + raised.value.hint


def test_what_a_backup_does_not_hold_is_refused_when_it_is_asked_for(records_service: RecordsServer) -> None:
    sample(records_service, 5)
    engine, manifest = engine_for(records_service), dumped(records_service).manifest
    engine.require_restorable(manifest, include=["users"], delete_extra=False)
    for include, delete_extra in ((["pets"], False), ([], True)):
        with pytest.raises(BackupError) as raised:
            engine.require_restorable(manifest, include=include, delete_extra=delete_extra)
        assert raised.value.code == "unsupported"
