"""A drill of a bucket: a scratch prefix, every byte in it against the manifest, and nothing left."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from databases.engines.base import DumpRequest, RestoreRequest
from databases.engines.proof import Comparison, Difference, ScratchRequest
from databases.engines.s3_bucket.engine import S3BucketEngine
from databases.engines.s3_bucket.fetch import PIECE
from jobs.errors import BackupError
from tests.contracts.engines import Dumped, RecordingGuard, dump_of
from tests.databases.engines.s3_bucket.buckets import clear, content_of, fill, keys_of
from tests.databases.engines.s3_bucket.helpers import engine_to
from tests.databases.engines.s3_bucket.test_restore import HOSTILE, META
from tests.servers.s3 import S3Server

NAME = "bsdrill_1"
PLACE = f".backupsite-drill/{NAME}/"
LARGE = bytes(range(256)) * ((2 * PIECE + PIECE // 2) // 256)


def request_for(
    server: S3Server | None, bucket: str, manifest: Any, name: str = NAME, **options: Any
) -> ScratchRequest:
    engine = engine_to(server, bucket, **options) if server else None
    return ScratchRequest(name=name, guard=RecordingGuard(), manifest=manifest, server=engine)


def restored(engine: S3BucketEngine, chain: Sequence[Dumped]) -> S3BucketEngine:
    engine.restore([dumped.source() for dumped in chain], RestoreRequest(guard=RecordingGuard()))
    return engine


def compared(engine: S3BucketEngine, dumped: Dumped) -> Comparison:
    return engine.compare(dumped.manifest, RecordingGuard())


@pytest.fixture(scope="module")
def drills(s3: S3Server) -> str:
    """The bucket that drills are given."""
    return s3.make_bucket()


@pytest.fixture(scope="module")
def chain(s3: S3Server) -> list[Dumped]:
    """A full backup and two incrementals, below a prefix: hostile keys, metadata, an object in pieces."""
    bucket = s3.make_bucket()
    objects: dict[str, Any] = {f"in/{key}"[:1024]: key.encode() for key in HOSTILE}
    objects |= {"in/page.html": META, "in/large": LARGE, "in/gone": b"1", "in/changed": b"1", "in/empty": b""}
    objects |= {"in/ümlaut": {"Body": b"1", "Metadata": {"name": "J=FCrgen"}}, "out": b"not of it"}
    fill(s3, bucket, objects)
    engine = engine_to(s3, bucket, prefix="in/")
    full = dump_of(engine)
    clear(s3, bucket, ["in/gone"])
    fill(s3, bucket, {"in/changed": b"22", "in/new": b"new"})
    first = dump_of(engine, _on(full))
    fill(s3, bucket, {"in/new": {"Body": b"new", "ContentType": "text/plain"}})
    return [full, first, dump_of(engine, _on(first))]


def _on(parent: Dumped) -> DumpRequest:
    return DumpRequest(guard=RecordingGuard(), type="incremental", parent=parent.parent())


@pytest.fixture(scope="module")
def scratch(s3: S3Server, drills: str, chain: list[Dumped]) -> Iterator[S3BucketEngine]:
    with S3BucketEngine.scratch(request_for(s3, drills, chain[-1].manifest)) as engine:
        yield restored(engine, chain)


def test_an_intact_chain_has_no_difference(scratch: S3BucketEngine, chain: list[Dumped]) -> None:
    found = compared(scratch, chain[-1])
    assert (found.differences, found.total, found.notes) == ((), 0, ())
    number = chain[-1].manifest["state_objects"]
    assert number == len(HOSTILE) + 6
    assert found.checked == {
        "object": number,
        "content": number,
        "metadata": number,
        "objects": 1,
        "group": 256,
    }
    assert found.server_version


def test_a_part_of_the_chain_is_another_state(s3: S3Server, drills: str, chain: list[Dumped]) -> None:
    """The manifest of the newest part is of the whole state: its own alone is not enough, nor is an older one."""
    request = request_for(s3, drills, chain[0].manifest, "bsdrill_2")
    with S3BucketEngine.scratch(request) as engine:
        restored(engine, chain[:1])
        assert compared(engine, chain[0]).total == 0
        kinds = {one.kind for one in compared(engine, chain[1]).differences}
        assert kinds == {"group"}, "the same number of objects, of which three differ"


Spoil = Callable[[Any, str], Any]


def put(key: str, **values: Any) -> Spoil:
    return lambda client, bucket: client.put_object(Bucket=bucket, Key=f"{PLACE}{key}", **values)


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (
            lambda client, bucket: client.delete_object(Bucket=bucket, Key=f"{PLACE}changed"),
            [("object", "in/changed"), ("objects", "")],
        ),
        (put("added", Body=b"1"), [("object", "in/added"), ("objects", "")]),
        (put("changed", Body=b"23"), [("content", "in/changed")]),
        (put("changed", Body=b"22", ContentType="text/plain"), [("metadata", "in/changed")]),
        (put("page.html", **{**META, "Metadata": {"owner": "a c", "x-y": "1"}}), [("metadata", "in/page.html")]),
        (put("page.html", **{**META, "CacheControl": "no-store"}), [("metadata", "in/page.html")]),
        (
            put("page.html", **{**META, "Expires": "Wed, 21 Oct 2026 07:28:01 GMT"}),
            [("metadata", "in/page.html")],
        ),
        (put("large", Body=LARGE[:-1] + b"?"), [("content", "in/large")]),
        (put("../up", Body=b"other"), [("content", "in/../up")]),
    ],
    ids=["lost", "added", "changed", "type", "user metadata", "header", "expires", "large", "hostile"],
)
def test_what_was_spoiled_is_named(
    spoil: Spoil,
    expected: list[tuple[str, str]],
    s3: S3Server,
    drills: str,
    scratch: S3BucketEngine,
    chain: list[Dumped],
) -> None:
    with closing(s3.client()) as client:
        spoil(client, drills)
        found = compared(scratch, chain[-1])
    mended: dict[str, Any] = {"changed": b"22", "../up": b"../up", "page.html": META}
    if expected == [("content", "in/large")]:
        mended["large"] = LARGE
    fill(s3, drills, {f"{PLACE}{key}": body for key, body in mended.items()})
    clear(s3, drills, [f"{PLACE}added"])
    assert sorted((one.kind, one.name.replace(drills, "")) for one in found.differences) == sorted(expected)
    assert found.total == len(expected)
    assert all(one.expected != one.found for one in found.differences)


def test_a_lost_object_is_told_by_its_key(s3: S3Server, drills: str, chain: list[Dumped]) -> None:
    request = request_for(s3, drills, chain[0].manifest, "bsdrill_3", prefix="deep/")
    with S3BucketEngine.scratch(request) as engine:
        restored(engine, chain[:1])
        clear(s3, drills, [f"deep/.backupsite-drill/bsdrill_3/{HOSTILE[0]}"])
        lost = Difference("object", f"in/{HOSTILE[0]}", "there", None)
        assert lost in compared(engine, chain[0]).differences
    assert keys_of(s3, drills, "deep/") == []


def test_without_what_was_written_a_group_of_keys_is_named(
    s3: S3Server, drills: str, scratch: S3BucketEngine, chain: list[Dumped]
) -> None:
    """As of any other bucket that a backup was restored into."""
    engine = engine_to(s3, drills, prefix=PLACE)
    assert compared(engine, chain[-1]).total == 0
    fill(s3, drills, {f"{PLACE}changed": b"23"})
    try:
        (difference,) = compared(engine, chain[-1]).differences
    finally:
        fill(s3, drills, {f"{PLACE}changed": b"22"})
    group = hashlib.sha256(b"in/changed").hexdigest()[:2]
    assert (difference.kind, difference.name) == ("group", f"keys whose SHA-256 begins with {group}")


def test_an_archive_that_is_not_what_the_manifest_says_is_a_difference(
    scratch: S3BucketEngine, chain: list[Dumped]
) -> None:
    groups = list(chain[-1].manifest["proof"]["groups"])
    groups[5] = f"{int(groups[5], 16) ^ 1:032x}"
    other = replace(chain[-1], manifest={**chain[-1].manifest, "proof": {"groups": groups, "unknown": 0}})
    assert [one.name for one in compared(scratch, other).differences] == ["keys whose SHA-256 begins with 05"]


def test_a_chain_of_before_is_compared_with_its_archive_alone(
    s3: S3Server, s3_bucket: str, scratch: S3BucketEngine, chain: list[Dumped]
) -> None:
    before = replace(chain[-1], manifest={name: chain[-1].manifest[name] for name in ("state_objects", "prefix")})
    found = compared(scratch, before)
    assert (found.total, len(found.notes)) == (0, 1)
    fill(s3, s3_bucket, {"a": b"1", "b": b"1"})
    full = dump_of(engine_to(s3, s3_bucket))
    assert full.index is not None
    old = replace(full, index=b"\n".join(line.split(b',"digest"')[0] + b"}" for line in full.index.split(b"\n")[1:-1]))
    old = replace(old, index=full.index.split(b"\n")[0] + b"\n" + (old.index or b"") + b"\n")
    fill(s3, s3_bucket, {"b": b"2"})
    assert dump_of(engine_to(s3, s3_bucket), _on(old)).manifest["proof"]["unknown"] == 1


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"key": "in/page.html"}, True),
        ({"key": "in/gone"}, False),
        ({"key": "in/a"}, True),
        ({"key": f"in/{'k' * 1024}"[:1024]}, True),
        ({"key": "in/pag"}, False),
        ({"prefix": "in/a/"}, 4),
        ({"prefix": "in/"}, len(HOSTILE) + 6),
        ({"prefix": ""}, len(HOSTILE) + 6),
        ({"prefix": "in/kkk"}, 1),
        ({"prefix": "in/nothing"}, 0),
    ],
)
def test_assertions_ask_for_the_backups_own_keys(query: Any, expected: bool | int, scratch: S3BucketEngine) -> None:
    assert S3BucketEngine.assertion_fault(query) == ""
    found = scratch.evaluate(query, RecordingGuard())
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize("query", [{"key": "out"}, {"prefix": "o"}, {"key": ""}, {}])
def test_an_assertion_that_cannot_be_answered_says_so(query: Any, scratch: S3BucketEngine) -> None:
    with pytest.raises(BackupError) as raised:
        scratch.evaluate(query, RecordingGuard())
    assert (raised.value.code, raised.value.permanent) == ("assertion", True)


@pytest.mark.parametrize("query", [None, "a", [], {"key": 1}, {"key": "a", "prefix": "b"}, {"key": "\ud800"}])
def test_faults_of_assertions_are_found_without_a_store(query: Any) -> None:
    assert S3BucketEngine.assertion_fault(query)


def test_leaving_removes_the_scratch_after_an_error_and_nothing_else(
    s3: S3Server, s3_bucket: str, chain: list[Dumped]
) -> None:
    others = [f".backupsite-drill/{name}" for name in (f"{NAME}0/a", f"x{NAME}/a", f"{NAME}.txt")]
    others += [f"{NAME}/a", "mine", f"a/{PLACE}a"]
    fill(s3, s3_bucket, dict.fromkeys(others, b"1"))
    request = request_for(s3, s3_bucket, chain[-1].manifest)
    guard = request.guard
    assert isinstance(guard, RecordingGuard)
    with pytest.raises(KeyError), S3BucketEngine.scratch(request) as engine:
        restored(engine, chain)
        assert len(keys_of(s3, s3_bucket)) > len(others)
        guard.stop_with(KeyError("cancelled"))
        engine.compare(chain[-1].manifest, guard)
    assert set(keys_of(s3, s3_bucket)) == set(others)


def test_what_a_killed_drill_left_is_removed_twice_without_harm(s3: S3Server, s3_bucket: str) -> None:
    fill(s3, s3_bucket, {f"{PLACE}{n}": b"1" for n in range(3)} | {"mine": b"1"})
    with closing(s3.client()) as client:
        client.create_multipart_upload(Bucket=s3_bucket, Key=f"{PLACE}begun")
        request = request_for(s3, s3_bucket, {})
        S3BucketEngine.remove_scratch(request)
        S3BucketEngine.remove_scratch(request)
        assert keys_of(s3, s3_bucket) == ["mine"]
        assert client.list_multipart_uploads(Bucket=s3_bucket).get("Uploads", []) == []


def test_a_backup_meanwhile_leaves_the_scratch_out(s3: S3Server, s3_bucket: str) -> None:
    """And a restore that deletes what its backup does not hold spares it."""
    fill(s3, s3_bucket, {"a": b"1", f"{PLACE}a": b"1", f"deep/{PLACE}a": b"1", ".backupsite-drill/own": b"1"})
    engine = engine_to(s3, s3_bucket)
    dumped = dump_of(engine)
    assert (dumped.manifest["state_objects"], dumped.manifest["left_out"]) == (2, {".backupsite-drill/": 2})
    before = content_of(s3, s3_bucket)
    engine.restore([dumped.source()], RestoreRequest(guard=RecordingGuard(), drop_existing=True, delete_extra=True))
    assert content_of(s3, s3_bucket) == before


def test_without_a_server_there_is_no_scratch() -> None:
    with pytest.raises(BackupError) as raised, S3BucketEngine.scratch(request_for(None, "", {})):
        pass
    assert (raised.value.code, raised.value.permanent) == ("no_scratch", True)
    assert raised.value.hint
