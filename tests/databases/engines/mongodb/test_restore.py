"""A restore puts back what was asked for, where it was asked for, and says what it could not."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from secrets import token_hex
from typing import Any

import pytest

from databases.engines.base import DumpRequest, RestoreReport, RestoreRequest
from databases.engines.mongodb import dump
from databases.engines.mongodb.engine import MongoEngine
from databases.engines.mongodb.session import Client
from jobs.errors import BackupError
from tests.contracts.engines import Dumped, RecordingGuard, dump_of
from tests.databases.engines.mongodb.conftest import as_user, content, engine_to
from tests.servers.mongodb import MongoServer

Fresh = Callable[[], str]


@pytest.fixture(scope="module")
def dumped(mongodb_server: MongoServer, sample: str) -> Dumped:
    return dump_of(engine_to(mongodb_server, sample))


def restored(engine: MongoEngine, dumped: Dumped, *include: str, drop: bool = False) -> RestoreReport:
    request = RestoreRequest(guard=RecordingGuard(), drop_existing=drop, include=include)
    return engine.restore([dumped.source()], request)


def names(server: MongoServer, database: str) -> set[str]:
    with server.client() as client:
        return {name for name in client[database].list_collection_names() if not name.startswith("system.")}


def test_a_user_who_may_only_write_this_database_restores_it(
    mongodb_server: MongoServer, dumped: Dumped, fresh_mongo_database: Fresh
) -> None:
    back, low = fresh_mongo_database(), f"low_{token_hex(4)}"
    mongodb_server.create_user(low, "low password", [{"role": "readWrite", "db": back}])
    try:
        plain = tuple(name for name in dumped.manifest["counts"] if not name.endswith(".weather"))
        for drop in (False, True):
            report = restored(as_user(mongodb_server, low, "low password", back), dumped, *plain, drop=drop)
        assert report.counts[f"{back}.orders"] == 6000
    finally:
        mongodb_server.drop_user(low)


def test_counts_of_the_report_are_those_of_the_target(
    mongodb_server: MongoServer, dumped: Dumped, fresh_mongo_database: Fresh
) -> None:
    back = fresh_mongo_database()
    report = restored(engine_to(mongodb_server, back), dumped)
    assert report.counts[f"{back}.orders"] == 6000
    assert report.counts[f"{back}.capped"] == 40
    assert report.counts[f"{back}.weather"] == dumped.manifest["counts"][f"{dumped.manifest['database']}.weather"]


def test_a_count_that_differs_fails(mongodb_server: MongoServer, dumped: Dumped, fresh_mongo_database: Fresh) -> None:
    """A writer who cannot be kept out: a document more in the target, of which mongorestore knows nothing."""
    back = fresh_mongo_database()
    with mongodb_server.client() as client:
        client[back].orders.insert_one({"_id": "another", "number": -1})
    source = f"{dumped.manifest['database']}.orders"
    with pytest.raises(BackupError) as raised:
        _restore_without_looking(engine_to(mongodb_server, back), dumped, source)
    assert raised.value.code == "incomplete_restore"
    assert "6001" in raised.value.message


def _restore_without_looking(engine: MongoEngine, dumped: Dumped, name: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("databases.engines.mongodb.plan._require_free", lambda *args, **values: None)
        restored(engine, dumped, name)


def test_what_the_tool_reports_is_compared_with_the_manifest(
    mongodb_server: MongoServer, dumped: Dumped, fresh_mongo_database: Fresh
) -> None:
    name = f"{dumped.manifest['database']}.orders"
    wrong = replace(dumped, manifest={**dumped.manifest, "counts": {name: 5999}})
    with pytest.raises(BackupError) as raised:
        restored(engine_to(mongodb_server, fresh_mongo_database()), wrong)
    assert raised.value.code == "structure"


def test_chosen_collections_come_whole_and_nothing_else(
    mongodb_server: MongoServer, dumped: Dumped, sample: str, fresh_mongo_database: Fresh
) -> None:
    back = fresh_mongo_database()
    chosen = {"weather", "star*star", "fs.files", "fs.chunks", "late"}
    restored(engine_to(mongodb_server, back), dumped, "weather", f"{sample}.star*star", "fs.*", "late")
    assert names(mongodb_server, back) == chosen
    one, other = content(mongodb_server, sample), content(mongodb_server, back)
    assert other["late"].pop("documents") == [], "a view comes without what it looks at"
    del one["late"]["documents"]
    assert [name for name in chosen if one[name] != other[name]] == []


def test_a_lost_collection_comes_back_beside_the_others(
    mongodb_server: MongoServer, dumped: Dumped, sample: str, fresh_mongo_database: Fresh
) -> None:
    back = fresh_mongo_database()
    engine = engine_to(mongodb_server, back)
    restored(engine, dumped)
    with mongodb_server.client() as client:
        client[back].types.drop()
        client[back].orders.delete_many({"number": {"$gt": 100}})
    restored(engine, dumped, "types")
    restored(engine, dumped, "orders", drop=True)
    assert content(mongodb_server, back) == content(mongodb_server, sample)
    with pytest.raises(BackupError) as raised:
        restored(engine, dumped, "types")
    assert raised.value.code == "target_not_empty"


def test_drop_existing_leaves_nothing_of_the_old(
    mongodb_server: MongoServer, dumped: Dumped, sample: str, fresh_mongo_database: Fresh
) -> None:
    """A view where a collection belongs, a collection where a view does, and what the backup knows nothing of."""
    back = fresh_mongo_database()
    with mongodb_server.client() as client:
        client[back].old.insert_one({"a": 1})
        client[back].create_collection("orders", viewOn="old", pipeline=[])
        client[back].late.insert_one({"a": 1})
        client[back].create_collection("capped", timeseries={"timeField": "at"})
    restored(engine_to(mongodb_server, back), dumped, drop=True)
    assert content(mongodb_server, back) == content(mongodb_server, sample)


def test_a_narrowed_backup_leaves_other_collections_alone_and_says_so(
    mongodb_server: MongoServer, sample: str, fresh_mongo_database: Fresh
) -> None:
    back = fresh_mongo_database()
    with mongodb_server.client() as client:
        client[back].old.insert_one({"a": 1})
    request = DumpRequest(guard=RecordingGuard(), type="selective", include=("orders", "strict"))
    narrowed = dump_of(engine_to(mongodb_server, sample), request)
    report = restored(engine_to(mongodb_server, back), narrowed, drop=True)
    assert names(mongodb_server, back) == {"old", "orders", "strict"}
    assert any(f"{back}.old" in note for note in report.notes)


def test_names_the_backup_does_not_hold_are_refused(
    mongodb_server: MongoServer, dumped: Dumped, fresh_mongo_database: Fresh
) -> None:
    with pytest.raises(BackupError) as raised:
        restored(engine_to(mongodb_server, fresh_mongo_database()), dumped, "orders", "nothing")
    assert (raised.value.code, raised.value.permanent) == ("nothing_matches", True)


def test_a_cut_archive_never_ends_well(
    mongodb_server: MongoServer, dumped: Dumped, fresh_mongo_database: Fresh, sample: str
) -> None:
    back = fresh_mongo_database()
    for length in (len(dumped.data) - 4, len(dumped.data) * 2 // 3):
        with pytest.raises(BackupError) as raised:
            restored(engine_to(mongodb_server, back), replace(dumped, data=dumped.data[:length]), drop=True)
        assert raised.value.code == "structure"
        assert content(mongodb_server, back) != content(mongodb_server, sample)


def test_the_first_conflict_ends_it_and_quotes_no_value(
    mongodb_server: MongoServer, fresh_mongo_database: Fresh
) -> None:
    name, back = fresh_mongo_database(), fresh_mongo_database()
    with mongodb_server.client() as client:
        client[name].people.insert_many([{"card": "4111-canary"}, {"card": "4111-canary"}])
        client[back].people.create_index("card", unique=True)
    dumped = dump_of(engine_to(mongodb_server, name))
    with pytest.raises(BackupError) as raised:
        _restore_without_looking(engine_to(mongodb_server, back), dumped, "people")
    assert (raised.value.code, raised.value.permanent) == ("conflict", True)
    assert "canary" not in raised.value.message


@pytest.fixture
def pair(mongodb_server: MongoServer) -> Iterator[tuple[str, str]]:
    """Two databases by names of their own, with two collections each."""
    both = f"pair_{token_hex(4)}_a", f"pair_{token_hex(4)}_b"
    with mongodb_server.client() as client:
        for name in both:
            for collection in ("one", "two", "three"):
                client[name][collection].insert_many([{"n": n} for n in range(30)])
    yield both
    for name in both:
        mongodb_server.drop_database(name)


def test_collections_of_several_databases_make_one_archive(
    mongodb_server: MongoServer, pair: tuple[str, str], fresh_mongo_database: Fresh
) -> None:
    first, second = pair
    engine = engine_to(mongodb_server, include_collections=("pair_*",), exclude_collections=(f"{first}.two",))
    dumped = dump_of(engine)
    counted = {name: count for name, count in dumped.manifest["counts"].items() if name.startswith((first, second))}
    assert counted == {f"{first}.one": 30, f"{first}.three": 30} | {
        f"{second}.{n}": 30 for n in ("one", "two", "three")
    }
    assert engine.verify_structure(dumped.source(), RecordingGuard())["documents"] >= 150
    back = fresh_mongo_database()
    with pytest.raises(BackupError) as raised:
        restored(engine_to(mongodb_server, back), dumped)
    assert raised.value.code == "unsupported"
    restored(engine_to(mongodb_server, back), dumped, f"{second}.*")
    assert content(mongodb_server, back) == content(mongodb_server, second)
    restored(engine_to(mongodb_server), dumped, f"{first}.*", drop=True)
    assert names(mongodb_server, first) == {"one", "two", "three"}


def test_users_and_roles_are_held_and_left_alone_unless_named(
    mongodb_server: MongoServer, pair: tuple[str, str]
) -> None:
    first, _ = pair
    user = f"kept_{token_hex(4)}"
    mongodb_server.create_user(user, "first password", ["read"])
    dumped = dump_of(engine_to(mongodb_server))
    assert dumped.manifest["counts"]["admin.system.users"] >= 2
    mongodb_server.drop_user(user)
    engine = engine_to(mongodb_server)
    report = restored(engine, dumped, f"{first}.*", drop=True)
    assert any("admin.system.users" in note for note in report.notes)
    assert not _exists(mongodb_server, user)
    restored(engine, dumped, "admin.system.users")
    assert _exists(mongodb_server, user)
    mongodb_server.drop_user(user)


def _exists(server: MongoServer, user: str) -> bool:
    with server.client() as client:
        found: list[Any] = client.admin.command("usersInfo", user)["users"]
        return bool(found)


@pytest.mark.parametrize("include", [(), ("admin.system.*",)])
def test_a_backup_of_nothing_but_users_replaces_no_database(
    mongodb_server: MongoServer, fresh_mongo_database: Fresh, include: tuple[str, ...]
) -> None:
    """As a whole backup of a server is that holds no data yet."""
    users = ("admin.system.users", "admin.system.version")
    dumped = dump_of(engine_to(mongodb_server), DumpRequest(guard=RecordingGuard(), type="selective", include=users))
    whole = replace(dumped, manifest={**dumped.manifest, "selection": {"include": [], "exclude": []}})
    target = fresh_mongo_database()
    with mongodb_server.client() as client:
        client[target].precious.insert_one({"_id": 1})
    with pytest.raises(BackupError) as raised:
        restored(engine_to(mongodb_server, target), whole, *include, drop=True)
    assert raised.value.code == "nothing_matches"
    assert names(mongodb_server, target) == {"precious"}


def test_a_view_that_is_made_as_the_dump_begins_comes_back(
    mongodb_server: MongoServer, fresh_mongo_database: Fresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between our look at what there is and mongodump's own; views and collections may also change places."""
    source, target = fresh_mongo_database(), fresh_mongo_database()
    look = dump._look

    async def looked(client: Client, *args: Any, **values: Any) -> dump.Found:
        found = await look(client, *args, **values)
        for name in ("late", "swapped"):
            await client[source].drop_collection(name)
            await client[source].create_collection(name, viewOn="orders", pipeline=[])
        return found

    with mongodb_server.client() as client:
        client[source].orders.insert_many([{"_id": number} for number in range(5)])
        client[source].swapped.insert_one({"_id": 1})
    monkeypatch.setattr(dump, "_look", looked)
    dumped = dump_of(engine_to(mongodb_server, source))
    engine_to(mongodb_server, source).verify_structure(dumped.source(), RecordingGuard())
    assert restored(engine_to(mongodb_server, target), dumped).counts == {f"{target}.orders": 5}
    assert names(mongodb_server, target) == {"orders", "late", "swapped"}


def test_a_joined_dump_that_is_stopped_between_its_runs_never_seems_to_end_well(
    mongodb_server: MongoServer, fresh_mongo_database: Fresh
) -> None:
    several = (fresh_mongo_database(), fresh_mongo_database())
    with mongodb_server.client() as client:
        for name in several:
            client[name].orders.insert_one({"_id": 1})
    include = tuple(f"{name}.*" for name in several)
    request = DumpRequest(guard=RecordingGuard(), type="selective", include=include)
    with engine_to(mongodb_server).dump(request) as running:
        running.abort()
        for _ in range(2):
            with pytest.raises(BackupError):
                running.readinto(bytearray(1 << 20))
