"""A drill of a MongoDB backup: a scratch database, what it holds against the archive, and nothing left."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from secrets import token_hex
from typing import Any

import pytest
from pymongo.database import Database

from databases.engines.base import DumpRequest, RestoreRequest
from databases.engines.mongodb.engine import MongoEngine
from databases.engines.proof import Comparison, Difference, ScratchRequest
from jobs.errors import BackupError
from tests.contracts.engines import Dumped, RecordingGuard, dump_of
from tests.databases.engines.mongodb.conftest import engine_to
from tests.servers.mongodb import MongoServer

Documents = Database[dict[str, Any]]


def stored(dumped: Dumped) -> Dumped:
    """As a run stores it: the manifest with the facts of the structure."""
    return replace(dumped, manifest={**dumped.manifest, "structure": dict(dumped.facts)})


@pytest.fixture(scope="module")
def dumped(mongodb_server: MongoServer, sample: str) -> Dumped:
    return stored(dump_of(engine_to(mongodb_server, sample)))


def request_for(server: MongoServer | None, dumped: Dumped, name: str = "") -> ScratchRequest:
    return ScratchRequest(
        name=name or f"bsdrill_{token_hex(4)}",
        guard=RecordingGuard(),
        manifest=dumped.manifest,
        server=engine_to(server) if server else None,
    )


def restored(engine: MongoEngine, dumped: Dumped) -> MongoEngine:
    engine.restore([dumped.source()], RestoreRequest(guard=RecordingGuard()))
    return engine


@pytest.fixture(scope="module")
def scratch(mongodb_server: MongoServer, dumped: Dumped) -> Iterator[tuple[MongoEngine, str]]:
    """A restored scratch and its name; whoever spoils it mends it."""
    request = request_for(mongodb_server, dumped)
    with MongoEngine.scratch(request) as engine:
        yield restored(engine, dumped), request.name


def compared(engine: MongoEngine, dumped: Dumped) -> Comparison:
    return engine.compare(dumped.manifest, RecordingGuard())


def mend(engine: MongoEngine, dumped: Dumped, *include: str) -> None:
    engine.restore([dumped.source()], RestoreRequest(guard=RecordingGuard(), drop_existing=True, include=include))


def names(server: MongoServer) -> set[str]:
    with server.client() as client:
        return set(client.list_database_names())


def test_an_intact_backup_of_every_kind_has_no_difference(scratch: tuple[MongoEngine, str], dumped: Dumped) -> None:
    found = compared(scratch[0], dumped)
    assert (found.differences, found.total, found.notes) == ((), 0, ())
    assert found.server_version == dumped.manifest["server_version"]
    contents = dumped.manifest["structure"]["contents"]
    views = [name for name, facts in contents.items() if facts["type"] == "view"]
    assert found.checked["collection"] == len(contents)
    assert found.checked["documents"] == found.checked["documents_crc64"] == len(contents) - len(views) > 10
    assert found.checked["index"] >= len(contents) - len(views)
    assert found.checked["option"] >= 10


def lose_document(database: Documents) -> None:
    database.orders.delete_one({"_id": 4711})


def change_document(database: Documents) -> None:
    database.orders.update_one({"_id": 4711}, {"$bit": {"customer": {"xor": 1}}})


def change_its_type(database: Documents) -> None:
    database.orders.update_one({"_id": 4711}, [{"$set": {"customer": {"$toLong": "$customer"}}}])


def lose_index(database: Documents) -> None:
    database.orders.drop_index("compound")


def change_index(database: Documents) -> None:
    database.command("collMod", "orders", index={"name": "compound", "hidden": True})


def lose_collection(database: Documents) -> None:
    database.orders.drop()


def lose_view(database: Documents) -> None:
    database.later.drop()


def change_view(database: Documents) -> None:
    database.command("collMod", "later", viewOn="late", pipeline=[])


def lose_validator(database: Documents) -> None:
    database.command("collMod", "strict", validator={})


def change_chunk(database: Documents) -> None:
    database["fs.chunks"].update_one({"n": 1}, {"$set": {"data": b"another"}})


def change_measurement(database: Documents) -> None:
    database.weather.insert_one({"at": database.weather.find_one()["at"], "sensor": {"id": 9}})  # type: ignore[index]


@pytest.mark.parametrize(
    ("spoil", "kind", "name"),
    [
        (lose_document, "documents", "orders"),
        (change_document, "documents_crc64", "orders"),
        (change_its_type, "documents_crc64", "orders"),
        (lose_index, "index", "orders: compound"),
        (change_index, "index", "orders: compound"),
        (lose_collection, "collection", "orders"),
        (lose_view, "collection", "later"),
        (change_view, "option", "later: pipeline"),
        (lose_validator, "option", "strict: validator"),
        (change_chunk, "documents_crc64", "fs.chunks"),
        (change_measurement, "documents", "weather"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_was_spoiled_is_named(
    spoil: Callable[[Documents], None],
    kind: str,
    name: str,
    mongodb_server: MongoServer,
    scratch: tuple[MongoEngine, str],
    dumped: Dumped,
) -> None:
    engine, database = scratch
    with mongodb_server.client() as client:
        spoil(client[database])
    try:
        found = compared(engine, dumped)
    finally:
        mend(engine, dumped, name.partition(":")[0])
    assert [(one.kind, one.name) for one in found.differences] == [(kind, f"{dumped.manifest['database']}.{name}")]
    assert found.total == 1
    assert found.differences[0].expected != found.differences[0].found


def test_a_lost_document_is_told_in_numbers(
    mongodb_server: MongoServer, scratch: tuple[MongoEngine, str], dumped: Dumped
) -> None:
    engine, database = scratch
    with mongodb_server.client() as client:
        lost = client[database].capped.find_one_and_delete({})
        assert lost is not None
    source = dumped.manifest["database"]
    assert compared(engine, dumped).differences == (Difference("documents", f"{source}.capped", 40, 39),)
    mend(engine, dumped, "capped")
    assert compared(engine, dumped).total == 0


def test_documents_that_may_have_expired_are_no_difference(
    mongodb_server: MongoServer, scratch: tuple[MongoEngine, str], dumped: Dumped
) -> None:
    engine, database = scratch
    with mongodb_server.client() as client:
        client[database].types.delete_one({"_id": 2.5})
    found = compared(engine, dumped)
    assert found.total == 0
    assert ["6 of 7" in note for note in found.notes] == [True]
    with mongodb_server.client() as client:
        client[database].types.insert_many([{"_id": 2.5}, {"_id": "one more"}])
    assert [one.kind for one in compared(engine, dumped).differences] == ["documents"]
    mend(engine, dumped, "types")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"collection": "orders"}, 6000),
        ({"collection": "{database}.orders", "filter": {"customer": 5, "number": {"$lt": {"$numberLong": "97"}}}}, 1),
        ({"collection": "types", "filter": {"date": {"$date": "2026-01-01T12:00:00Z"}}}, 1),
        ({"collection": "late"}, 9),
        ({"collection": "fs.files"}, 2),
        ({"collection": "empty"}, 0),
    ],
)
def test_assertions_count_documents(
    query: dict[str, Any], expected: int, scratch: tuple[MongoEngine, str], sample: str
) -> None:
    query = {**query, "collection": query["collection"].format(database=sample)}
    assert MongoEngine.assertion_fault(query) == ""
    assert scratch[0].evaluate(query, RecordingGuard()) == expected


@pytest.mark.parametrize(
    "query",
    [{"collection": "nothing"}, {"collection": "orders", "filter": {"$nonsense": 1}}, {"collection": 5}, "orders"],
)
def test_an_assertion_that_cannot_be_answered_says_so(query: Any, scratch: tuple[MongoEngine, str]) -> None:
    with pytest.raises(BackupError) as raised:
        scratch[0].evaluate(query, RecordingGuard())
    assert (raised.value.code, raised.value.permanent) == ("assertion", True)


@pytest.mark.parametrize(
    "query",
    [
        None,
        "orders",
        {},
        {"collection": ""},
        {"collection": "$cmd"},
        {"collection": "orders", "filter": []},
        {"collection": "orders", "filter": {"_id": {"$oid": "no"}}},
        {"collection": "orders", "drop": True},
    ],
)
def test_faults_of_assertions_are_found_without_a_server(query: Any) -> None:
    assert MongoEngine.assertion_fault(query)


def test_leaving_removes_the_scratch_after_an_error_too(mongodb_server: MongoServer, dumped: Dumped) -> None:
    request = request_for(mongodb_server, dumped)
    guard = request.guard
    assert isinstance(guard, RecordingGuard)
    with pytest.raises(KeyError), MongoEngine.scratch(request) as engine:
        restored(engine, dumped)
        assert request.name in names(mongodb_server)
        guard.stop_with(KeyError("cancelled"))
        engine.compare(dumped.manifest, guard)
    assert request.name not in names(mongodb_server)


def test_what_a_killed_drill_left_is_removed_by_its_name_alone(mongodb_server: MongoServer, dumped: Dumped) -> None:
    request = request_for(mongodb_server, dumped)
    ours = {request.name, f"{request.name}_1", f"{request.name}_12"}
    others = {f"{request.name}_x", f"{request.name}0", f"a{request.name}"}
    try:
        with mongodb_server.client() as client:
            for name in ours | others:
                client[name].things.insert_one({})
        MongoEngine.remove_scratch(request)
        MongoEngine.remove_scratch(request)
        assert (ours | others) & names(mongodb_server) == others
    finally:
        for name in others:
            mongodb_server.drop_database(name)


def test_several_databases_go_into_scratch_databases_of_their_own(
    mongodb_server: MongoServer, fresh_mongo_database: Callable[[], str]
) -> None:
    one, two = fresh_mongo_database(), fresh_mongo_database()
    with mongodb_server.client() as client:
        client[one].things.insert_many([{"n": 1}, {"n": 2}])
        client[two].things.insert_many([{"n": 3}])
        client[two].create_collection("seen", viewOn="things")
    chosen = DumpRequest(guard=RecordingGuard(), type="selective", include=(f"{one}.*", f"{two}.*"))
    dumped = stored(dump_of(engine_to(mongodb_server), chosen))
    request = request_for(mongodb_server, dumped)
    with MongoEngine.scratch(request) as engine:
        restored(engine, dumped)
        assert {name for name in names(mongodb_server) if name.startswith(request.name)} == {
            f"{request.name}_1",
            f"{request.name}_2",
        }
        assert compared(engine, dumped).total == 0
        counted = {name: engine.evaluate({"collection": f"{name}.things"}, RecordingGuard()) for name in (one, two)}
        assert counted == {one: 2, two: 1}
        with pytest.raises(BackupError, match="several databases"):
            engine.evaluate({"collection": "things"}, RecordingGuard())
        with mongodb_server.client() as client:
            client[f"{request.name}_{sorted([one, two]).index(two) + 1}"].things.drop()
        assert [difference.name for difference in compared(engine, dumped).differences] == [f"{two}.things"]
    assert not [name for name in names(mongodb_server) if name.startswith(request.name)]


def test_a_database_that_the_manifest_does_not_name_is_restored_nowhere(
    mongodb_server: MongoServer, dumped: Dumped
) -> None:
    manifest: dict[str, Any] = {"structure": {"contents": {"another.things": {}}}}
    request = replace(request_for(mongodb_server, dumped), manifest=manifest)
    before = names(mongodb_server)
    with MongoEngine.scratch(request) as engine, pytest.raises(BackupError) as raised:
        restored(engine, dumped)
    assert raised.value.code == "unsupported"
    assert names(mongodb_server) == before


def test_a_manifest_of_before_has_its_counts_compared(
    mongodb_server: MongoServer, scratch: tuple[MongoEngine, str], dumped: Dumped
) -> None:
    engine, _ = scratch
    facts = {name: value for name, value in dumped.facts.items() if name != "contents"}
    before = replace(dumped, manifest={**dumped.manifest, "structure": facts})
    found = compared(engine, before)
    assert (found.total, len(found.notes)) == (0, 1)
    assert found.checked["documents"] == len(dumped.manifest["counts"])


def test_without_a_server_there_is_no_scratch(dumped: Dumped) -> None:
    with pytest.raises(BackupError) as raised, MongoEngine.scratch(request_for(None, dumped)):
        pass
    assert (raised.value.code, raised.value.permanent) == ("no_scratch", True)
    assert raised.value.hint
