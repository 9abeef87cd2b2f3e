"""What is to be masked never reaches the server as it was, whatever becomes of the restore."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import bson
import pytest
from bson import Binary, Code, Decimal128, Int64, MaxKey, ObjectId, Regex, Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from databases.engines.base import RestoreReport, RestoreRequest
from databases.engines.mongodb.engine import MongoEngine
from databases.engines.mongodb.masking import Masking
from databases.engines.proof import Mask
from jobs.errors import BackupError
from tests.contracts.engines import Dumped, RecordingGuard, dump_of
from tests.databases.engines.mongodb.conftest import content, engine_to
from tests.servers.mongodb import MongoServer

Fresh = Callable[[], str]
KEY = ("shop", "people")
RICH: dict[str, Any] = {
    "_id": ObjectId(),
    "double": 2.5,
    "text": "canary",
    "document": {"inner": {"deep": "canary"}, "kept": [1, {"a": None}]},
    "list": ["canary", {"mail": "canary"}, [{"mail": "canary"}], None, 5],
    "binary": Binary(b"canary", 0),
    "uuid": Binary(UUID(int=5).bytes, 4),
    "yes": True,
    "at": datetime(2024, 1, 1, tzinfo=UTC),
    "nothing": None,
    "regex": Regex("^a.*", "i"),
    "code": Code("f()"),
    "scoped": Code("f()", {"x": 1}),
    "small": 5,
    "big": Int64(5),
    "stamp": Timestamp(5, 6),
    "decimal": Decimal128("1.5"),
    "most": MaxKey(),
    "tail": "kept",
}
RICH = bson.decode(bson.encode(RICH))  # as the driver gives it back


def masked(document: dict[str, Any], *masks: Mask) -> dict[str, Any]:
    return bson.decode(Masking({KEY: masks}).document(KEY, bson.encode(document)))


def people(column: str, method: str, value: str = "") -> Mask:
    return Mask("people", column, method, value)


@pytest.mark.parametrize("name", [name for name in RICH if name != "tail"])
def test_every_other_field_stays_as_it_is(name: str) -> None:
    after = masked(RICH, people(name, "null"), people("tail", "fixed", "it's ☃"))
    assert after == {**RICH, name: None, "tail": "it's ☃"}


def test_nothing_named_changes_no_byte() -> None:
    raw = bson.encode(RICH)
    assert Masking({KEY: [people("absent", "null"), people("text.below", "null")]}).document(KEY, raw) == raw


def test_paths_reach_into_documents_and_lists() -> None:
    after = masked(RICH, people("document.inner.deep", "hash"), people("list.mail", "fixed", "x"))
    assert after["document"] == {"inner": {"deep": after["document"]["inner"]["deep"]}, "kept": [1, {"a": None}]}
    assert len(after["document"]["inner"]["deep"]) == 64
    assert after["list"] == ["canary", {"mail": "x"}, [{"mail": "x"}], None, 5]


def test_equal_values_stay_equal_and_types_stay() -> None:
    names = ("text", "small", "big", "uuid", "_id", "double", "binary")
    masking = Masking({KEY: [people(name, "hash") for name in names]})
    first, second = (bson.decode(masking.document(KEY, bson.encode(RICH))) for _ in range(2))
    assert first == second
    assert {name: type(first[name]) for name in names} == {name: type(RICH[name]) for name in names}
    assert all(first[name] != RICH[name] for name in names)
    assert first["uuid"].subtype == 4 and len(first["uuid"]) == 16
    assert 0 <= first["small"] < 2**31 and 0 <= first["big"] < 2**63
    assert masked(RICH, people("text", "hash")) != masked(RICH, people("text", "hash"))  # another key


def test_made_up_values_look_like_what_they_stand_for() -> None:
    values = {"a": "one", "b": "two", "c": "three", "d": "four", "e": None}
    kinds = {"a": "email", "b": "phone", "c": "name", "d": "text", "e": "text"}
    after = masked(values, *(people(name, "fake", kind) for name, kind in kinds.items()))
    assert after["a"].endswith("@example.com") and after["b"].startswith("+999") and " " in after["c"]
    assert after["e"] is None and len(after["d"].split()) == 6


@pytest.mark.parametrize(
    ("name", "method"), [("at", "hash"), ("yes", "hash"), ("document", "hash"), ("decimal", "hash"), ("small", "fake")]
)
def test_a_value_that_no_mask_fits_fails(name: str, method: str) -> None:
    with pytest.raises(BackupError) as raised:
        masked(RICH, people(name, method, "name" if method == "fake" else ""))
    assert raised.value.code == "masking_failed" and name in raised.value.message


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(bson.encode(RICH)) - 1), st.integers(0, 255))
def test_a_damaged_document_is_told_or_masked(at: int, byte: int) -> None:
    raw = bytearray(bson.encode(RICH))
    raw[at] = byte
    with suppress(BackupError):
        Masking({KEY: [people("tail", "null"), people("list.mail", "hash")]}).document(KEY, bytes(raw))


# Real restores


@pytest.fixture(scope="module")
def dumped(mongodb_server: MongoServer) -> Iterator[Dumped]:
    with mongodb_server.client() as client:
        database = client["masking_source"]
        database.people.insert_many(
            {"number": n, "mail": f"canary{n}@real.test", "tags": [{"name": f"canary {n}"}]} for n in range(3000)
        )
        database.people.create_index("mail", unique=True)
        database.kept.insert_many({"n": n} for n in range(10))
        database.create_collection("shown", viewOn="people", pipeline=[])
    yield dump_of(engine_to(mongodb_server, "masking_source"))
    mongodb_server.drop_database("masking_source")


def restored(engine: MongoEngine, dumped: Dumped, *masks: Mask, include: tuple[str, ...] = ()) -> RestoreReport:
    request = RestoreRequest(guard=RecordingGuard(), masking=masks, include=include)
    return engine.restore([dumped.source()], request)


def test_a_restore_masks(mongodb_server: MongoServer, dumped: Dumped, fresh_mongo_database: Fresh) -> None:
    back = fresh_mongo_database()
    report = restored(
        engine_to(mongodb_server, back),
        dumped,
        Mask(f"{back}.people", "mail", "fake", "email"),
        people("tags.name", "hash"),
        people("absent", "null"),
    )
    assert report.masked == {f"{back}.people.mail": 3000, "people.tags.name": 3000, "people.absent": 0}
    assert any("people.absent" in note for note in report.notes)
    assert "canary" not in str(content(mongodb_server, back))
    with mongodb_server.client() as client:
        assert client[back].people.count_documents({"mail": {"$regex": "^user.*@example.com$"}}) == 3000
        assert client[back].people.count_documents({"number": 17}) == 1
        assert client[back].kept.count_documents({}) == 10


def test_a_restore_that_fails_on_the_way_has_written_nothing_unmasked(
    mongodb_server: MongoServer, dumped: Dumped, fresh_mongo_database: Fresh
) -> None:
    back = fresh_mongo_database()
    cut = replace(dumped, data=dumped.data[:-2000])
    with pytest.raises(BackupError):
        restored(engine_to(mongodb_server, back), cut, people("mail", "hash"), people("tags", "null"))
    assert "canary" not in str(content(mongodb_server, back))


def test_a_conflicting_target_fails_with_masking_too(
    mongodb_server: MongoServer, dumped: Dumped, fresh_mongo_database: Fresh
) -> None:
    """One value for all, where an index wants each to be another."""
    back = fresh_mongo_database()
    with pytest.raises(BackupError) as raised:
        restored(engine_to(mongodb_server, back), dumped, people("mail", "fixed", "same"), people("tags", "null"))
    assert "canary" not in f"{raised.value}" and "canary" not in str(content(mongodb_server, back))


@pytest.mark.parametrize(("item", "words"), [("nobody", "no collection nobody"), ("shown", "is a view")])
def test_rules_for_what_is_no_collection_restore_nothing(
    item: str, words: str, mongodb_server: MongoServer, dumped: Dumped, fresh_mongo_database: Fresh
) -> None:
    back = fresh_mongo_database()
    with pytest.raises(BackupError) as raised:
        restored(engine_to(mongodb_server, back), dumped, Mask(item, "mail", "null"))
    assert words in raised.value.message and raised.value.code == "masking_failed"
    assert content(mongodb_server, back) == content(mongodb_server, fresh_mongo_database())


def test_a_rule_for_what_was_not_selected_is_noted(
    mongodb_server: MongoServer, dumped: Dumped, fresh_mongo_database: Fresh
) -> None:
    report = restored(
        engine_to(mongodb_server, fresh_mongo_database()), dumped, people("mail", "null"), include=("kept",)
    )
    assert report.masked == {} and any("people.mail" in note for note in report.notes)


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (Mask("", "mail", "null"), "collection"),
        (people("_id", "null"), "_id"),
        (people("a..b", "null"), "path"),
        (people("mail", "fake"), "made up"),
        (people("mail", "hash"), ""),
    ],
)
def test_a_rule_of_the_wrong_shape_is_told(mask: Mask, words: str) -> None:
    fault = MongoEngine.mask_fault(mask)
    assert words in fault and bool(fault) is bool(words)
