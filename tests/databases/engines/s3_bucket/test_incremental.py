"""Incrementals: what is new, changed and gone, and the index that the next one compares with."""

import json
import tracemalloc
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import chain

import pytest

from databases.engines.base import DumpRequest, Parent
from databases.engines.s3_bucket import index as index_module
from databases.engines.s3_bucket.changes import Deleted, Unchanged, Wanted, steps
from databases.engines.s3_bucket.index import Entry, IndexReader, entry_line, head_line
from databases.engines.s3_bucket.listing import Listed
from jobs.errors import BackupError
from tests.contracts.engines import BytesSource, Dumped, RecordingGuard, dump_of
from tests.databases.engines.s3_bucket.fake_store import BUCKET, FakeStore, fake_store
from tests.databases.engines.s3_bucket.helpers import engine_to, fill, index_of, opened
from tests.servers.s3 import S3Server


@pytest.fixture
def fake() -> Iterator[tuple[FakeStore, S3Server]]:
    with fake_store() as pair:
        yield pair


def _on(parent: Dumped) -> DumpRequest:
    return DumpRequest(guard=RecordingGuard(), type="incremental", parent=parent.parent())


def test_a_chain_holds_what_is_new_changed_and_gone(s3: S3Server, s3_bucket: str) -> None:
    fill(s3, s3_bucket, {"changed": b"1", "gone": b"1", "kept/a": b"1", "kept/b": b"1"})
    engine = engine_to(s3, s3_bucket)
    full = dump_of(engine)
    with_nothing_new = dump_of(engine, _on(full))
    assert opened(with_nothing_new).contents == {}
    assert with_nothing_new.manifest["objects"] == 0
    assert index_of(with_nothing_new)[1] == index_of(full)[1]

    client = s3.client()
    client.delete_object(Bucket=s3_bucket, Key="gone")
    fill(s3, s3_bucket, {"changed": b"22", "first": b"new", "zz/last": b"new"})
    second = dump_of(engine, _on(with_nothing_new))
    tar = opened(second)
    assert tar.contents == {"changed": b"22", "first": b"new", "zz/last": b"new"}
    assert [line["key"] for line in tar.lines if line.get("deleted")] == ["gone"]
    assert (second.manifest["objects"], second.manifest["deleted"], second.manifest["state_objects"]) == (3, 1, 5)
    length, entries = index_of(second)
    assert (length, second.manifest["chain_length"]) == (2, 2)
    assert list(entries) == ["changed", "first", "kept/a", "kept/b", "zz/last"]
    assert entries["kept/a"] == index_of(full)[1]["kept/a"]

    for key in entries:
        client.delete_object(Bucket=s3_bucket, Key=key)
    client.close()
    last = dump_of(engine, _on(second))
    assert [line["key"] for line in opened(last).lines] == list(entries)
    assert index_of(last) == (3, {})


def test_a_key_rewritten_with_the_same_bytes_counts_as_changed(s3: S3Server, s3_bucket: str) -> None:
    """Its metadata may be others."""
    fill(s3, s3_bucket, {"a": b"1"})
    engine = engine_to(s3, s3_bucket)
    full = dump_of(engine)
    client = s3.client()
    before = client.head_object(Bucket=s3_bucket, Key="a")["LastModified"]
    while client.head_object(Bucket=s3_bucket, Key="a")["LastModified"] == before:  # stores tell whole seconds
        fill(s3, s3_bucket, {"a": b"1"})
    assert list(opened(dump_of(engine, _on(full))).contents) == ["a"]


def test_an_object_of_the_chain_that_vanishes_while_it_is_read_is_deleted(fake: tuple[FakeStore, S3Server]) -> None:
    store, server = fake
    store.objects = {"a": b"1", "b": b"1"}
    engine = engine_to(server, BUCKET)
    full = dump_of(engine)
    store.objects["a"] = b"2"

    def vanish(key: str, start: int) -> None:
        store.objects.pop("a", None)

    store.before_read = vanish
    second = dump_of(engine, _on(full))
    assert [line for line in opened(second).lines if line.get("deleted")] == [{"key": "a", "deleted": True}]
    assert list(index_of(second)[1]) == ["b"]


def test_an_object_that_changed_after_it_was_listed_comes_once_more_next_time(fake: tuple[FakeStore, S3Server]) -> None:
    store, server = fake
    store.objects = {"a": b"1"}
    engine = engine_to(server, BUCKET)

    def change(key: str, start: int) -> None:
        store.objects["a"] = b"22"

    store.before_read = change
    full = dump_of(engine)
    assert opened(full).contents == {"a": b"22"}
    assert opened(full).lines[0]["etag"] == store.etag("a") == index_of(full)[1]["a"]["etag"]


@pytest.mark.parametrize(
    ("options", "continues"),
    [
        ({}, True),
        ({"parallel": 3, "full_every": 2}, True),
        ({"prefix": "b/"}, False),
        ({"include": ("x",)}, False),
        ({"exclude": ("x",)}, False),
        ({"endpoint_url": "https://other.example"}, False),
    ],
)
def test_an_incremental_continues_what_was_selected_the_same(
    s3: S3Server, s3_bucket: str, options: dict[str, object], continues: bool
) -> None:
    fill(s3, s3_bucket, {"a": b"1"})
    manifest = json.loads(json.dumps(dump_of(engine_to(s3, s3_bucket)).manifest))
    assert engine_to(s3, s3_bucket, **options).continues(manifest) is continues
    assert not engine_to(s3, "other").continues(manifest)
    assert engine_to(s3, s3_bucket).full_every == 7


@pytest.mark.parametrize("index", [None, b"", b"{}\n", b'{"schema_version":1,"chain":0}\n{"key":"a"', b"[1]\n"])
def test_an_incremental_without_a_whole_index_fails(s3: S3Server, s3_bucket: str, index: bytes | None) -> None:
    fill(s3, s3_bucket, {"a": b"1"})
    parent = Parent({}, None if index is None else BytesSource(b"", {}, index=index).open_index)
    with pytest.raises(BackupError) as raised:
        dump_of(engine_to(s3, s3_bucket), DumpRequest(guard=RecordingGuard(), type="incremental", parent=parent))
    assert raised.value.code == ("no_index" if index is None else "index_corrupt")
    assert raised.value.hint


def test_an_index_that_fails_at_its_end_fails_the_dump(s3: S3Server, s3_bucket: str) -> None:
    corrupt = BackupError("digests differ", code="artefact_corrupt")

    parent = Parent({}, lambda: nullcontext(BytesSource(head_line(0), {}, fault=corrupt)))
    with pytest.raises(BackupError) as raised:
        dump_of(engine_to(s3, s3_bucket), DumpRequest(guard=RecordingGuard(), type="incremental", parent=parent))
    assert raised.value is corrupt


class _Lines:
    """An index of many lines, made while it is read."""

    def __init__(self, count: int) -> None:
        entries = (entry_line(Entry(f"{n:09}", n, f"{n:032x}", "2026-11-21T02:00:00Z", "")) for n in range(count))
        self._lines = chain([head_line(0)], entries)
        self._held = b""

    def readinto(self, buffer: bytearray | memoryview) -> int:
        found, length = [self._held], len(self._held)
        while length < len(buffer) and (following := next(self._lines, b"")):
            found.append(following)
            length += len(following)
        block = b"".join(found)
        self._held = block[len(buffer) :]
        count = min(len(block), len(buffer))
        buffer[:count] = block[:count]
        return count


def test_joining_a_long_listing_with_a_long_index_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "_BLOCK", 4096)
    count = 5000  # 700 kB of lines
    listing = (Listed(f"{n:09}", n, f"{n:032x}", "2026-11-21T02:00:00Z") for n in range(1, count, 2))
    tracemalloc.start()
    try:
        kinds = {Unchanged: 0, Deleted: 0, Wanted: 0}
        for step in steps(listing, IndexReader(_Lines(count))):
            kinds[type(step)] += 1
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert kinds == {Unchanged: count // 2, Deleted: count // 2, Wanted: 0}
    assert peak < 300_000
