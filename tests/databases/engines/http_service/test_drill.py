"""A drill of a service's backup: a sink that counts, checks and forgets, where no other request may go."""

import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.error import HTTPError

import pytest

from databases.engines.base import Connection, RestoreRequest
from databases.engines.http_service.engine import HttpEngine
from databases.engines.http_service.options import HttpOptions
from databases.engines.proof import Comparison, Difference, ScratchRequest
from jobs.errors import BackupError
from tests.contracts.engines import Dumped, RecordingGuard
from tests.databases.engines.http_service.services import FORMS, dumped, engine_for, full
from tests.servers import scripts
from tests.servers.records import RecordsServer, sample, user

BOTH: dict[str, Any] = {"collection": "users, orders"}


def request_for(manifest: Any, guard: RecordingGuard | None = None) -> ScratchRequest:
    return ScratchRequest(name="bsdrill_1", guard=guard or RecordingGuard(), manifest=manifest)


@contextmanager
def drilled(*chain: Dumped, manifest: Any = None) -> Iterator[HttpEngine]:
    """Restored into a sink that knows what the last backup says, or `manifest`."""
    with HttpEngine.scratch(request_for(manifest or chain[-1].manifest)) as engine:
        engine.restore([part.source() for part in chain], RestoreRequest(guard=RecordingGuard()))
        yield engine


def compared(*chain: Dumped, manifest: Any = None) -> Comparison:
    with drilled(*chain, manifest=manifest) as engine:
        return engine.compare(manifest or chain[-1].manifest, RecordingGuard())


@pytest.mark.parametrize("form", FORMS)
def test_an_intact_backup_has_no_difference(records_service: RecordsServer, form: str) -> None:
    sample(records_service, 700)
    found = compared(dumped(records_service, form, **BOTH))
    assert (found.differences, found.total) == ((), 0)
    assert found.checked == {"records": 2, "records_digest": 2}
    assert found.server_version
    assert ["users, orders" in note for note in found.notes] == [True], "no schema was given"


def test_records_are_compared_to_the_last_digit(records_service: RecordsServer) -> None:
    text = b'[{"id":12345678901234567890123,"a":1e400,"a":-0,"b":"\\ud800 \xc3\xbc"}, [], "x", 1.10, null]'
    records_service.script.append(scripts.body(text))
    assert compared(dumped(records_service)).total == 0


def spoiled(found: Dumped, old: bytes, new: bytes) -> Dumped:
    """As if it had been changed on its way: the manifest that a restore believes counts what is there."""
    data = found.data.replace(old, new, 1)
    assert data != found.data
    counts = {name: data.count(f'{{"collection":"{name}"'.encode()) for name in ("users", "orders")}
    return replace(found, data=data, manifest={**found.manifest, "counts": counts})


def test_a_lost_record_is_a_difference(records_service: RecordsServer) -> None:
    sample(records_service, 20)
    found = dumped(records_service, **BOTH)
    first = found.data.split(b"\n")[0] + b"\n"
    result = compared(spoiled(found, first, b""), manifest=found.manifest)
    assert result.differences == (Difference("records", "users", 20, 19),)


def test_a_doubled_record_is_a_difference(records_service: RecordsServer) -> None:
    sample(records_service, 20)
    found = dumped(records_service, **BOTH)
    first, second, _ = found.data.split(b"\n", 2)
    result = compared(spoiled(found, second, first), manifest=found.manifest)
    assert [(one.kind, one.name) for one in result.differences] == [("records_digest", "users")]


def test_a_changed_record_is_a_difference(records_service: RecordsServer) -> None:
    sample(records_service, 20)
    found = dumped(records_service, **BOTH)
    result = compared(spoiled(found, b"x17", b"x18"), manifest=found.manifest)
    assert [(one.kind, one.name) for one in result.differences] == [("records_digest", "orders")]
    assert result.total == 1


def test_a_lost_collection_is_a_difference(records_service: RecordsServer) -> None:
    sample(records_service, 20)
    found = dumped(records_service, **BOTH)
    users = dumped(records_service)
    assert compared(users, manifest=found.manifest).differences == (Difference("records", "orders", 40, 0),)


def test_a_chain_is_compared_as_a_whole(records_service: RecordsServer) -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    records_service.date = lambda: format_datetime(noon, usegmt=True)
    records_service.fill("users", [user(number) for number in range(1, 101)])
    since: dict[str, Any] = {"since_param": "since"}
    chain = [dumped(records_service, **since)]
    for number in (7, 101):
        records_service.collections["users"][str(number)] = user(number, updated_at="2026-03-01T13:00:00Z")
        chain.append(dumped(records_service, "list", full(type="incremental", parent=chain[-1].parent()), **since))
    assert chain[2].manifest["records"] == 2
    assert chain[2].manifest["proof"]["users"]["records"] == 103
    assert compared(*chain).total == 0
    assert compared(chain[0], chain[2]).differences == (Difference("records", "users", 103, 102),)
    before = {name: value for name, value in chain[0].manifest.items() if name != "proof"}
    parent = replace(chain[0], manifest=before).parent()
    child = dumped(records_service, "list", full(type="incremental", parent=parent), **since)
    assert child.manifest["proof"] is None
    assert "begun by an older version" in compared(chain[0], child).notes[0]


def test_a_manifest_of_before_has_its_counts_compared(records_service: RecordsServer) -> None:
    sample(records_service, 5)
    found = dumped(records_service, **BOTH)
    before = {name: value for name, value in found.manifest.items() if name not in ("proof", "schema")}
    result = compared(replace(found, manifest=before))
    assert (result.checked, result.total) == ({"records": 2}, 0)
    assert "older version" in result.notes[0]
    assert compared(replace(found, manifest=before), manifest={**before, "counts": {"users": 6}}).total == 1


SCHEMA = {"users": {"type": "object", "required": ["id"], "properties": {"email": {"type": "string", "pattern": "@"}}}}


def test_records_are_checked_against_the_databases_schema(records_service: RecordsServer) -> None:
    sample(records_service, 20)
    schema = json.dumps(SCHEMA)
    right = compared(dumped(records_service, schema=schema, **BOTH))
    assert (right.total, right.checked["schema"]) == (0, 1)
    for number in (3, 9):
        records_service.collections["users"][str(number)]["email"] = "secret nobody"
    (wrong,) = compared(dumped(records_service, schema=schema, **BOTH)).differences
    assert (wrong.kind, wrong.name) == ("schema", "users")
    assert wrong.found == {"faulty": 2, "first": "record 3, email: pattern"}


def test_a_reference_out_of_the_schema_is_never_followed(records_service: RecordsServer) -> None:
    sample(records_service, 2)
    schema = json.dumps({"users": {"$ref": f"{records_service.url}/list/users"}})
    found = dumped(records_service, schema=schema)
    records_service.asked.clear()
    (wrong,) = compared(found).differences
    assert wrong.found["faulty"] == 2
    assert records_service.asked == []


@pytest.mark.parametrize(
    "schema", ["{", "[]", '{"users": 5}', '{"pets": {}}', '{"users": {"type": "nothing"}}', '{"users": {"pattern": 1}}']
)
def test_a_schema_that_is_none_is_a_fault(schema: str) -> None:
    options = HttpOptions(url="http://service.example/{collection}", collection="users", schema=schema)
    assert set(HttpEngine.validate(Connection(), options)) == {"options.schema"}


def test_assertions_count_records(records_service: RecordsServer) -> None:
    sample(records_service, 5)
    records_service.fill("pets", [])
    with drilled(dumped(records_service, collection="users, orders, pets")) as engine:
        counted = {name: engine.evaluate({"count": name}, RecordingGuard()) for name in ("users", "orders", "pets")}
        assert counted == {"users": 5, "orders": 10, "pets": 0}
        with pytest.raises(BackupError) as raised:
            engine.evaluate({"count": "cats"}, RecordingGuard())
    assert (raised.value.code, raised.value.permanent) == ("assertion", True)
    assert HttpEngine.assertion_fault({"count": "users"}) == ""


@pytest.mark.parametrize("query", [None, "users", {}, {"count": 1}, {"count": ""}, {"count": "users", "x": 1}])
def test_faults_of_assertions_are_found_without_a_service(query: Any) -> None:
    assert HttpEngine.assertion_fault(query)


def test_a_batch_that_comes_twice_counts_once(records_service: RecordsServer) -> None:
    with HttpEngine.scratch(request_for(dumped_of_five(records_service).manifest)) as engine:
        for key in ("one", "one", "two"):
            assert post(engine.options.restore_url, b'[{"id":1}]', key) == 200
        assert engine.evaluate({"count": "users"}, RecordingGuard()) == 2


def dumped_of_five(service: RecordsServer) -> Dumped:
    sample(service, 5)
    return dumped(service)


def post(url: str, body: bytes, key: str = "") -> int:
    headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url.format(collection="users"), body, headers, method="POST")
        ) as answer:
            return int(answer.status)
    except HTTPError as refused:
        refused.close()
        return refused.code


def test_the_sink_takes_from_nobody_else_and_no_rubbish(records_service: RecordsServer) -> None:
    with HttpEngine.scratch(request_for(dumped_of_five(records_service).manifest)) as engine:
        url = engine.options.restore_url
        origin = url[: url.index("/", 8)]
        assert url.startswith("http://127.0.0.1:")
        assert post(f"{origin}/{{collection}}", b'[{"id":1}]') == 404
        assert [post(url, body) for body in (b"", b"{}", b'[{"id":1', b"\xff")] == [400] * 4
        assert engine.evaluate({"count": "users"}, RecordingGuard()) == 0


def test_only_the_sinks_address_is_allowed_to_it(records_service: RecordsServer) -> None:
    """Where the site allows none on loopback, the sink works; and the sink's engine may not leave loopback."""
    found = dumped_of_five(records_service)
    request = replace(request_for(found.manifest), settings={"allowed_networks": ("10.0.0.0/8",)})
    with HttpEngine.scratch(request) as engine:
        engine.restore([found.source()], RestoreRequest(guard=RecordingGuard()))
        assert engine.compare(found.manifest, RecordingGuard()).total == 0
        elsewhere = replace(engine.options, restore_url="http://10.1.2.3/{collection}")
        with pytest.raises(BackupError) as raised:
            HttpEngine(Connection(), elsewhere, engine.settings).restore(
                [found.source()], RestoreRequest(guard=RecordingGuard(), drop_existing=True)
            )
    assert raised.value.code == "egress_refused"
    with pytest.raises(BackupError) as refused:
        engine_for(records_service, settings=request.settings).restore(
            [found.source()], RestoreRequest(guard=RecordingGuard())
        )
    assert refused.value.code == "egress_refused"


def test_leaving_ends_the_sink_after_an_error_too(records_service: RecordsServer) -> None:
    found, threads = dumped_of_five(records_service), set(threading.enumerate())
    request = request_for(found.manifest)
    with pytest.raises(KeyError), HttpEngine.scratch(request) as engine:
        engine.restore([found.source()], RestoreRequest(guard=RecordingGuard()))
        raise KeyError("cancelled")
    with pytest.raises(OSError):
        post(engine.options.restore_url, b"[]")
    HttpEngine.remove_scratch(request)
    assert {thread for thread in threading.enumerate() if thread.name == "http-sink"} <= threads


def test_a_sink_that_holds_records_is_no_empty_target(records_service: RecordsServer) -> None:
    found = dumped_of_five(records_service)
    with drilled(found) as engine, pytest.raises(BackupError) as raised:
        engine.restore([found.source()], RestoreRequest(guard=RecordingGuard()))
    assert raised.value.code == "target_not_empty"


def test_a_service_itself_cannot_be_compared(records_service: RecordsServer) -> None:
    found = dumped_of_five(records_service)
    with pytest.raises(BackupError) as raised:
        engine_for(records_service).compare(found.manifest, RecordingGuard())
    assert raised.value.code == "unsupported"
