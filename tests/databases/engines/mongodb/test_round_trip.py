"""What a dump holds, and how it is told apart."""

import threading
from collections.abc import Callable
from secrets import token_hex

import pytest

from databases.engines.base import DumpRequest, RestoreRequest
from databases.engines.proof import Mask
from jobs.errors import BackupError
from tests.contracts.engines import RecordingGuard, dump_of
from tests.databases.engines.mongodb.conftest import as_user, content, engine_to
from tests.servers.mongodb import MongoServer, start_mongodb

Fresh = Callable[[], str]


def test_every_collection_is_counted_as_mongodump_reports_it(mongodb_server: MongoServer, sample: str) -> None:
    manifest = dump_of(engine_to(mongodb_server, sample)).manifest
    counts = {name.removeprefix(f"{sample}."): count for name, count in manifest["counts"].items()}
    assert counts["orders"] == 6000
    assert counts["capped"] == 40
    assert counts["empty"] == 0
    assert 0 < counts["weather"] < 800, "a time series is counted in its buckets"
    assert "late" not in counts, "a view holds nothing"
    assert None not in counts.values()
    assert manifest["collections"][f"{sample}.orders"] == {
        "type": "collection",
        "size": manifest["collections"][f"{sample}.orders"]["size"],
        "indexes": 8,
    }
    assert manifest["collections"][f"{sample}.weather"]["type"] == "timeseries"


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (("orders",), (), {"orders"}),
        (("weather", "l?te"), (), {"weather", "late"}),
        (("fs.*",), ("fs.chunks",), {"fs.files"}),
        (("{database}.c*",), (), {"capped", "collated", "clustered"}),
        (("star*star",), (), {"star*star"}),
    ],
)
def test_a_selective_dump_takes_what_the_names_say(
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    expected: set[str],
    mongodb_server: MongoServer,
    sample: str,
    fresh_mongo_database: Fresh,
) -> None:
    include = tuple(name.format(database=sample) for name in include)
    request = DumpRequest(guard=RecordingGuard(), type="selective", include=include, exclude=exclude)
    dumped = dump_of(engine_to(mongodb_server, sample), request)
    assert {name.removeprefix(f"{sample}.") for name in dumped.manifest["collections"]} == expected
    back = fresh_mongo_database()
    engine_to(mongodb_server, back).restore([dumped.source()], RestoreRequest(guard=RecordingGuard()))
    restored = content(mongodb_server, back)
    assert set(restored) - {"hashes"} == expected


def test_the_databases_own_lists_narrow_every_dump(mongodb_server: MongoServer, sample: str) -> None:
    engine = engine_to(mongodb_server, sample, exclude_collections=("orders", "fs.*"))
    full = dump_of(engine).manifest
    assert f"{sample}.types" in full["counts"]
    assert not {f"{sample}.orders", f"{sample}.fs.files"} & set(full["collections"]) | set(full["counts"]) & {
        f"{sample}.orders"
    }


@pytest.mark.parametrize(
    ("include", "code"), [(("nothing",), "nothing_matches"), (("orders", "not there"), "nothing_matches")]
)
def test_names_that_match_nothing_are_refused(
    include: tuple[str, ...], code: str, mongodb_server: MongoServer, sample: str
) -> None:
    with pytest.raises(BackupError) as raised:
        dump_of(
            engine_to(mongodb_server, sample),
            DumpRequest(guard=RecordingGuard(), type="selective", include=include),
        )
    assert (raised.value.code, raised.value.permanent) == (code, True)


def test_a_database_that_is_not_there_is_no_empty_backup(mongodb_server: MongoServer) -> None:
    with pytest.raises(BackupError) as raised:
        dump_of(engine_to(mongodb_server, "not_there"))
    assert (raised.value.code, raised.value.permanent) == ("database_missing", True)


def test_a_user_who_may_only_read_this_database_backs_it_up(
    mongodb_server: MongoServer, sample: str, fresh_mongo_database: Fresh
) -> None:
    low = f"low_{token_hex(4)}"
    mongodb_server.create_user(low, "low password", [{"role": "read", "db": sample}])
    try:
        engine = as_user(mongodb_server, low, "low password", sample, exclude_collections=("weather",))
        report = engine.check()
        assert (report.ok, report.warnings) == (True, ())
        assert dump_of(engine).manifest["counts"][f"{sample}.orders"] == 6000
    finally:
        mongodb_server.drop_user(low)


@pytest.mark.slow
def test_a_dump_with_the_oplog_is_of_one_moment(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Two collections are written in turn during the dump; after the restore they agree, and writes were replayed."""
    with start_mongodb(tmp_path_factory.mktemp("one") / "server") as source:
        with source.client() as client:
            client.shop.filler.insert_many([{"n": n, "text": "x" * 2000} for n in range(4000)])
            client.shop.ledger.insert_one({"_id": "total", "sum": 0})
        stop, written = threading.Event(), 0

        def write() -> None:
            nonlocal written
            with source.client() as client:
                while not stop.is_set():
                    client.shop.entries.insert_one({"n": written})
                    client.shop.ledger.update_one({"_id": "total"}, {"$inc": {"sum": 1}})
                    written += 1

        writer = threading.Thread(target=write)
        writer.start()
        try:
            dumped = dump_of(engine_to(source, oplog=True))
        finally:
            stop.set()
            writer.join()
        assert dumped.manifest["oplog"] is True
        with start_mongodb(tmp_path_factory.mktemp("two") / "server") as target:
            report = engine_to(target).restore([dumped.source()], RestoreRequest(guard=RecordingGuard()))
            with target.client() as client:
                entries = client.shop.entries.count_documents({})
                total = client.shop.ledger.find_one({"_id": "total"})
            rules = (Mask("shop.filler", "text", "null"),)
            masking = RestoreRequest(guard=RecordingGuard(), drop_existing=True, masking=rules)
            masked = engine_to(target).restore([dumped.source()], masking)
            with target.client() as client:
                unplayed = client.shop.entries.count_documents({})
            assert unplayed < entries, "the oplog holds values as they were"
            assert masked.masked == {"shop.filler.text": 4000} and any("oplog" in note for note in masked.notes)
            assert total is not None
            assert entries - total["sum"] in (0, 1), "one moment lies between an entry and its sum, or behind both"
            assert entries > dumped.manifest["counts"].get("shop.entries", 0), "nothing was written during the dump"
            assert report.counts["shop.filler"] == 4000
